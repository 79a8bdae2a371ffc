/**
 * Objects that clients send as protobuf, made into the same values that JSON would give. The envelope is `k8s\0` and a runtime.Unknown; inside,
 * field numbers come from the facts table, types from the schemas. Fields that are written though they are empty are dropped where
 * JSON would leave them out. The way back is in `protobuf-encoder.ts`.
 */

import { kinds } from '#api-kube/facts.ts';
import { fieldNumbers } from '#api-kube/field-numbers.ts';
import { ProtobufError } from '#wire/protobuf/message.ts';
import { Reader } from '#wire/protobuf/reader.ts';
import { schemaOf, typeName } from './built-in-schemas.ts';
import { numbersOf } from './protobuf-numbers.ts';
import type { ObjectSchema, ScalarType, Schema } from './schema.ts';
import { badRequestError } from './status.ts';
import { type Json, JsonError, parseJson } from './strict-json.ts';

export const protobufType = 'application/vnd.kubernetes.protobuf';

/** What upstream's protobuf objects begin with. */
export const magic = Buffer.from([0x6b, 0x38, 0x73, 0]);

/** @throws StatusError BadRequest; a kind without numbers is refused by name */
export function decodeProtobufObject(bytes: Buffer): Json {
  try {
    if (!bytes.subarray(0, 4).equals(magic))
      throw new ProtobufError('provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]');
    const { apiVersion, kind, raw } = readEnvelope(new Reader(bytes.subarray(4)));
    const slash = apiVersion.indexOf('/');
    const gvk = { group: apiVersion.slice(0, Math.max(slash, 0)), version: apiVersion.slice(slash + 1), kind };
    const known = gvk.kind === 'DeleteOptions' ? { group: '', version: 'v1', kind } : gvk;
    const name = kinds[`${known.group}/${known.version}/${kind}`];
    if (name === undefined || fieldNumbers[name] === undefined)
      throw new ProtobufError(
        `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`,
      );
    const object: Record<string, unknown> = { kind, apiVersion };
    readObject(new Reader(raw), schemaOf(known), name, object);
    return object as Json;
  } catch (error) {
    if (!(error instanceof ProtobufError)) throw error;
    throw badRequestError(error.message);
  }
}

function readEnvelope(r: Reader) {
  let apiVersion = '';
  let kind = '';
  let raw: Buffer = Buffer.alloc(0);
  while (r.position < r.end) {
    const tag = r.uint32();
    if (tag === 10) {
      const outer = r.enter();
      while (r.position < r.end) {
        const inner = r.uint32();
        if (inner === 10) apiVersion = r.string();
        else if (inner === 18) kind = r.string();
        else r.skip(inner);
      }
      r.leave(outer);
    } else if (tag === 18) raw = r.bytesField();
    else r.skip(tag);
  }
  return { apiVersion, kind, raw };
}

function readObject(r: Reader, schema: ObjectSchema, type: string, target: Record<string, unknown>): void {
  const numbers = numbersOf(type);
  while (r.position < r.end) {
    const tag = r.uint32();
    const numbered = numbers.get(tag >>> 3);
    if (numbered === undefined) {
      r.skip(tag);
      continue;
    }
    if (numbered.kind === 'inline') {
      const outer = r.enter();
      readObject(r, schema, numbered.type, target);
      r.leave(outer);
      continue;
    }
    const field = schema.fields.get(numbered.name);
    if (field === undefined) {
      r.skip(tag);
      continue;
    }
    readField(r, tag & 7, field.schema, numbered, target);
  }
}

function readField(
  r: Reader,
  wireType: number,
  schema: Schema,
  { name, keepZero }: { readonly name: string; readonly keepZero: boolean },
  target: Record<string, unknown>,
): void {
  if (schema.type === 'list') {
    const list = (target[name] ??= []) as unknown[];
    list.push(readValue(r, wireType, schema.items));
    return;
  }
  if (schema.type === 'map') {
    const map = (target[name] ??= {}) as Record<string, unknown>;
    const [key, value] = readEntry(r, schema.values);
    Object.defineProperty(map, key, { value, enumerable: true, writable: true, configurable: true });
    return;
  }
  const value = readValue(r, wireType, schema);
  if (value === undefined) return;
  if (!keepZero && (value === '' || value === 0 || value === false)) return;
  target[name] = schema.type === 'time' && microTimes.has(name) ? withMicroseconds(value as string) : value;
}

/** Fields of the type MicroTime, which shows its microseconds even when there are none. */
const microTimes = new Set(['acquireTime', 'eventTime', 'lastObservedTime', 'pingTime', 'renewTime']);

function withMicroseconds(time: string): string {
  return time.includes('.') ? time : time.replace('Z', '.000000Z');
}

function readEntry(r: Reader, values: Schema): [string, unknown] {
  let key = '';
  let value: unknown;
  const outer = r.enter();
  while (r.position < r.end) {
    const tag = r.uint32();
    if (tag === 10) key = r.string();
    else if (tag >>> 3 === 2) value = readValue(r, tag & 7, values);
    else r.skip(tag);
  }
  r.leave(outer);
  return [
    key,
    value ?? (values.type === 'list' ? [] : values.type === 'object' ? {} : values.type === 'time' ? null : ''),
  ];
}

function readValue(r: Reader, wireType: number, schema: Schema): unknown {
  switch (schema.type) {
    case 'object': {
      const outer = r.enter();
      const object: Record<string, unknown> = {};
      readObject(r, schema, typeName(schema), object);
      r.leave(outer);
      return object;
    }
    case 'list': {
      // A list inside a map or a list is a message that holds it (`ExtraValue`).
      const outer = r.enter();
      const list: unknown[] = [];
      while (r.position < r.end) {
        const tag = r.uint32();
        if (tag >>> 3 === 1) list.push(readValue(r, tag & 7, schema.items));
        else r.skip(tag);
      }
      r.leave(outer);
      return list;
    }
    case 'map':
      throw new ProtobufError('a map inside a map');
    default:
      return readScalar(r, wireType, schema.type);
  }
}

const wireVarint = 0;
const wireFixed64 = 1;
const wireBytes = 2;

function readScalar(r: Reader, wireType: number, type: ScalarType): unknown {
  const expected =
    type === 'bool' || type === 'int32' || type === 'int64' ? wireVarint : type === 'double' ? wireFixed64 : wireBytes;
  if (wireType !== expected) throw new ProtobufError(`wire type ${wireType} for a field of type ${type}`);
  switch (type) {
    case 'string':
      return r.string();
    case 'bytes':
      return r.bytesField().toString('base64');
    case 'bool':
      return r.bool();
    case 'int32':
      return r.int32();
    case 'int64':
      return r.int64Number();
    case 'double':
      return r.double();
    case 'time':
      return readTime(r);
    case 'quantity':
      return readFirst(r, (inner) => inner.string()) ?? '0';
    case 'int-or-string':
      return readIntOrString(r);
    case 'any':
      return readRaw(r);
  }
}

/** Field 1 of a message. */
function readFirst<T>(r: Reader, read: (r: Reader) => T): T | undefined {
  let value: T | undefined;
  const outer = r.enter();
  while (r.position < r.end) {
    const tag = r.uint32();
    if (tag >>> 3 === 1) value = read(r);
    else r.skip(tag);
  }
  r.leave(outer);
  return value;
}

/** Seconds and nanoseconds; an empty message is no time. */
function readTime(r: Reader): string | undefined {
  let seconds: number | undefined;
  let nanos = 0;
  const outer = r.enter();
  while (r.position < r.end) {
    const tag = r.uint32();
    if (tag === 8) seconds = r.int64Number();
    else if (tag === 16) nanos = r.int32();
    else r.skip(tag);
  }
  r.leave(outer);
  if (seconds === undefined) return undefined;
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return nanos === 0 ? `${whole}Z` : `${whole}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`;
}

function readIntOrString(r: Reader): number | string {
  let text = false;
  let number = 0;
  let string = '';
  const outer = r.enter();
  while (r.position < r.end) {
    const tag = r.uint32();
    if (tag === 8) text = r.int32() === 1;
    else if (tag === 16) number = r.int32();
    else if (tag === 26) string = r.string();
    else r.skip(tag);
  }
  r.leave(outer);
  return text ? string : number;
}

/** JSON inside a message: RawExtension, FieldsV1. */
function readRaw(r: Reader): unknown {
  const bytes = readFirst(r, (inner) => inner.bytesField());
  if (bytes === undefined || bytes.length === 0) return undefined;
  try {
    return parseJson(bytes.toString('utf8')).value;
  } catch (error) {
    if (error instanceof JsonError) throw new ProtobufError(`raw extension: ${error.message}`);
    throw error;
  }
}
