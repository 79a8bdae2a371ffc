/**
 * Objects of built-in kinds as protobuf: the same bytes that upstream writes, but for fields that are written though they are empty, which
 * readers take as left out. The envelope is `k8s\0` and a runtime.Unknown.
 */

import { kinds } from '#api-kube/facts.ts';
import { fieldNumbers } from '#api-kube/field-numbers.ts';
import type { GroupVersionKind } from '#api-kube/resource.ts';
import { BackwardWriter } from '#wire/protobuf/backward-writer.ts';
import { builtInTypes, schemaOf, typeName } from './built-in-schemas.ts';
import { type NumberedField, numbersOf } from './protobuf-numbers.ts';
import { magic } from './protobuf-object.ts';
import type { ObjectSchema, ScalarType, Schema } from './schema.ts';
import type { Status } from './status.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Is everything known that it takes to write the kind? */
export function hasProtobuf({ group, version, kind }: GroupVersionKind): boolean {
  const type = kinds[`${group}/${version}/${kind}`];
  return type !== undefined && fieldNumbers[type] !== undefined;
}

/** The message of an object, without the envelope. The kind is one that {@link hasProtobuf}. */
export function encodeMessage(gvk: GroupVersionKind, object: Fields): Buffer {
  const schema = schemaOf(gvk);
  const writer = new BackwardWriter();
  writeObject(writer, schema, typeName(schema), object);
  return writer.finish();
}

/** The message of `metadata` alone, as meta/v1's PartialObjectMetadata has it. */
export function encodePartialMessage(metadata: Fields): Buffer {
  const writer = new BackwardWriter();
  writeObject(writer, builtInTypes.get(objectMeta)!, objectMeta, metadata);
  writer.message(1, 0);
  return writer.finish();
}

const objectMeta = 'meta/v1.ObjectMeta';

export interface ListMetadata {
  readonly resourceVersion?: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

/**
 * What stands before and after the items of a list, envelope included: the items themselves may be many and are written one by one, each as
 * {@link listItemHead} and its message.
 * @param itemsBytes of all items with their heads
 */
export function listEnvelope(
  apiVersion: string,
  kind: string,
  metadata: ListMetadata,
  itemsBytes: number,
): { readonly head: Buffer; readonly tail: Buffer } {
  const tail = new BackwardWriter(8);
  writeContentForms(tail);
  const head = new BackwardWriter();
  writeListMetadata(head, metadata);
  head.message(1, 0);
  head.uint32(head.length + itemsBytes);
  head.tag(2, 2);
  writeType(head, apiVersion, kind);
  return { head: head.finish(), tail: tail.finish() };
}

/** Before the message of an item. */
export function listItemHead(messageBytes: number): Buffer {
  const writer = new BackwardWriter(8);
  writer.uint32(messageBytes);
  writer.tag(2, 2);
  return writer.finish();
}

function writeListMetadata(writer: BackwardWriter, metadata: ListMetadata): void {
  if (metadata.remainingItemCount !== undefined) {
    writer.integer(metadata.remainingItemCount);
    writer.tag(4, 0);
  }
  text(writer, 3, metadata.continue);
  text(writer, 2, metadata.resourceVersion);
}

/** What is sent: the envelope with the message in it. */
export function envelope(apiVersion: string, kind: string, message: Uint8Array): Buffer {
  const writer = new BackwardWriter(message.length + 128);
  writeContentForms(writer);
  writer.bytes(message);
  writer.tag(2, 2);
  writeType(writer, apiVersion, kind);
  return writer.finish();
}

/** Encoding and type of the content: none is said, and both are written. */
function writeContentForms(writer: BackwardWriter): void {
  text(writer, 4, '');
  text(writer, 3, '');
}

/** The beginning of the envelope. */
function writeType(writer: BackwardWriter, apiVersion: string, kind: string): void {
  const before = writer.length;
  text(writer, 2, kind);
  text(writer, 1, apiVersion);
  writer.message(1, before);
  writer.raw(magic);
}

/** A frame of a watch: its length, and a WatchEvent. @param object with its envelope */
export function watchFrame(type: string, object: Uint8Array): Buffer {
  const writer = new BackwardWriter(object.length + 64);
  writer.bytes(object);
  writer.tag(1, 2);
  writer.message(2, 0);
  text(writer, 1, type);
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(writer.length);
  writer.raw(length);
  return writer.finish();
}

/** A Status with its envelope. */
export function encodeStatus(status: Status): Buffer {
  const writer = new BackwardWriter();
  writer.integer(status.code);
  writer.tag(6, 0);
  if (status.details !== undefined) {
    const { name, group, kind, causes = [], retryAfterSeconds, uid } = status.details;
    const before = writer.length;
    text(writer, 6, uid);
    if (retryAfterSeconds !== undefined) {
      writer.integer(retryAfterSeconds);
      writer.tag(5, 0);
    }
    for (const { reason, message, field } of [...causes].reverse()) {
      const inner = writer.length;
      text(writer, 3, field);
      text(writer, 2, message);
      text(writer, 1, reason);
      writer.message(4, inner);
    }
    text(writer, 3, kind);
    text(writer, 2, group);
    text(writer, 1, name);
    writer.message(5, before);
  }
  text(writer, 4, status.reason);
  text(writer, 3, status.message);
  text(writer, 2, status.status);
  const before = writer.length;
  writeListMetadata(writer, status.metadata);
  writer.message(1, before);
  return envelope('v1', 'Status', writer.finish());
}

function text(writer: BackwardWriter, number: number, value: string | undefined): void {
  if (value === undefined) return;
  writer.string(value);
  writer.tag(number, 2);
}

function writeObject(writer: BackwardWriter, schema: ObjectSchema, type: string, value: Fields): void {
  for (const [number, numbered] of descending(type)) {
    if (numbered.kind === 'inline') {
      const before = writer.length;
      writeObject(writer, schema, numbered.type, value);
      writer.message(number, before);
      continue;
    }
    const field = value[numbered.name];
    const fieldSchema = schema.fields.get(numbered.name)?.schema;
    if (field !== undefined && field !== null && fieldSchema !== undefined)
      writeField(writer, number, fieldSchema, field);
  }
}

function descending(type: string): readonly (readonly [number, NumberedField])[] {
  return orders.get(type) ?? [];
}

/** The fields of each type from the last to the first. */
const orders: ReadonlyMap<string, readonly (readonly [number, NumberedField])[]> = new Map(
  Object.keys(fieldNumbers).map((type) => [type, [...numbersOf(type)].sort(([a], [b]) => b - a)]),
);

function writeField(writer: BackwardWriter, number: number, schema: Schema, value: unknown): void {
  if (schema.type === 'list') {
    const items = value as readonly unknown[];
    for (let i = items.length - 1; i >= 0; i--) writeValue(writer, number, schema.items, items[i]);
    return;
  }
  if (schema.type === 'map') {
    // By their keys, as upstream writes them.
    const entries = Object.entries(value as Fields).sort(([a], [b]) => (a < b ? 1 : -1));
    for (const [key, item] of entries) {
      const before = writer.length;
      if (item !== null && item !== undefined) writeValue(writer, 2, schema.values, item);
      // No time is an empty message.
      else if (schema.values.type === 'time') writer.message(2, before);
      text(writer, 1, key);
      writer.message(number, before);
    }
    return;
  }
  writeValue(writer, number, schema, value);
}

function writeValue(writer: BackwardWriter, number: number, schema: Schema, value: unknown): void {
  const before = writer.length;
  switch (schema.type) {
    case 'object':
      writeObject(writer, schema, typeName(schema), value as Fields);
      writer.message(number, before);
      return;
    case 'list': {
      // A list inside a map or a list is a message that holds it.
      const items = value as readonly unknown[];
      for (let i = items.length - 1; i >= 0; i--) writeValue(writer, 1, schema.items, items[i]);
      writer.message(number, before);
      return;
    }
    case 'map':
      throw new TypeError('a map inside a map');
    default:
      writeScalar(writer, number, schema.type, value);
  }
}

function writeScalar(writer: BackwardWriter, number: number, type: ScalarType, value: unknown): void {
  const before = writer.length;
  switch (type) {
    case 'string':
      text(writer, number, String(value));
      return;
    case 'bytes':
      writer.bytes(Buffer.from(String(value), 'base64'));
      writer.tag(number, 2);
      return;
    case 'bool':
      writer.integer(value === true ? 1 : 0);
      writer.tag(number, 0);
      return;
    case 'int32':
    case 'int64':
      writer.integer(Number(value));
      writer.tag(number, 0);
      return;
    case 'double':
      writer.double(Number(value));
      writer.tag(number, 1);
      return;
    case 'time':
      writeTime(writer, String(value));
      break;
    case 'quantity':
      text(writer, 1, String(value));
      break;
    case 'int-or-string': {
      const number = typeof value === 'number';
      text(writer, 3, number ? '' : String(value));
      writer.integer(number ? value : 0);
      writer.tag(2, 0);
      writer.integer(number ? 0 : 1);
      writer.tag(1, 0);
      break;
    }
    case 'any':
      writer.bytes(Buffer.from(JSON.stringify(value)));
      writer.tag(1, 2);
  }
  writer.message(number, before);
}

/** Seconds and nanoseconds of RFC 3339. */
function writeTime(writer: BackwardWriter, value: string): void {
  const fraction = /\.(\d{1,9})/.exec(value)?.[1] ?? '';
  writer.integer(Number(fraction.padEnd(9, '0')));
  writer.tag(2, 0);
  writer.integer(Math.floor(Date.parse(value) / 1000));
  writer.tag(1, 0);
}
