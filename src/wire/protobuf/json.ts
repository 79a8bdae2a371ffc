/**
 * Messages as JSON, the mapping of protobuf: 64-bit numbers as strings, bytes in base64, enums by name, fields that are zero left out. Written
 * with the names of the `.proto` file, read with those and with their camel-case forms; unknown fields are skipped. Which fields a
 * message has comes in as a table that `npm run gen` makes. https://protobuf.dev/programming-guides/json/
 */
import { JsonDocumentError, type JsonNode, placeOf, readJsonDocument } from './json-document.ts';

export interface JsonField {
  /** As the `.proto` file has it. */
  readonly name: string;
  /** As the message's interface has it. */
  readonly property: string;
  readonly kind: 'bytes' | 'string' | 'bool' | 'int32' | 'uint32' | 'int64' | 'uint64' | 'enum' | 'message';
  /** Of an enum or a message. */
  readonly type?: string;
  readonly repeated?: true;
  /** The property of the union that the field is a case of. */
  readonly oneof?: string;
  /** A 64-bit integer that is a number here. */
  readonly asNumber?: true;
}

export interface JsonTables {
  readonly messages: Readonly<Record<string, readonly JsonField[]>>;
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** JSON that is not the message it was said to be; `message` is in the words of Go's protojson. */
export class JsonMessageError extends Error {
  override readonly name = 'JsonMessageError';
}

type Message = Readonly<Record<string, unknown>>;

/** @param typeName full name of the message, which is in the tables */
export function encodeJson(tables: JsonTables, typeName: string, message: unknown): string {
  const parts: string[] = [];
  for (const field of tables.messages[typeName]!) {
    const value = writtenValue(message as Message, field);
    if (value === undefined) continue;
    const element = (each: unknown) => encodeValue(tables, field, each);
    const text = field.repeated ? `[${(value as readonly unknown[]).map(element).join(',')}]` : element(value);
    parts.push(`${JSON.stringify(field.name)}:${text}`);
  }
  return `{${parts.join(',')}}`;
}

/** Undefined for what is not written. */
function writtenValue(message: Message, { property, oneof, repeated }: JsonField): unknown {
  if (oneof !== undefined) {
    const union = message[oneof] as { readonly case: string | undefined; readonly value?: unknown };
    return union.case === property ? union.value : undefined;
  }
  const value = message[property];
  if (repeated) return (value as readonly unknown[]).length === 0 ? undefined : value;
  if (value === 0 || value === 0n || value === '' || value === false) return undefined;
  return value instanceof Uint8Array && value.length === 0 ? undefined : value;
}

function encodeValue(tables: JsonTables, { kind, type }: JsonField, value: unknown): string {
  switch (kind) {
    case 'message':
      return encodeJson(tables, type!, value);
    case 'enum': {
      const [name] = Object.entries(tables.enums[type!]!).find(([, number]) => number === value) ?? [];
      return name === undefined ? String(value) : `"${name}"`;
    }
    case 'bytes':
      return `"${Buffer.from(value as Uint8Array).toString('base64')}"`;
    case 'int64':
    case 'uint64':
      return `"${value}"`;
    default:
      return JSON.stringify(value);
  }
}

/**
 * Reads the message that begins at `from` in a text of several; undefined when nothing follows.
 * @throws JsonMessageError
 */
export function decodeJson<T>(
  tables: JsonTables,
  typeName: string,
  text: string,
  from = 0,
): { readonly message: T; readonly end: number } | undefined {
  try {
    const document = readJsonDocument(text, from);
    if (document === undefined) return undefined;
    const its = text.slice(from, document.end);
    const lead = its.length - its.trimStart().length;
    const decoder = new Decoder(tables, text.slice(from + lead, document.end), from + lead);
    return { message: decoder.message(typeName, document.node) as T, end: document.end };
  } catch (error) {
    if (error instanceof JsonDocumentError) throw new JsonMessageError(error.message, { cause: error });
    throw error;
  }
}

const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;

class Decoder {
  readonly #tables: JsonTables;
  readonly #text: string;
  readonly #start: number;

  constructor(tables: JsonTables, text: string, start: number) {
    this.#tables = tables;
    this.#text = text;
    this.#start = start;
  }

  message(typeName: string, node: JsonNode): Message {
    if (node.kind !== 'object') throw this.#syntax(node);
    const fields = this.#tables.messages[typeName]!;
    const result: Record<string, unknown> = {};
    for (const field of fields)
      if (field.oneof === undefined) result[field.property] = this.#zero(field);
      else result[field.oneof] = { case: undefined };
    const seen = new Set<JsonField>();
    for (const { at, name, value } of node.members) {
      const field = fields.find((each) => each.name === name || jsonName(each.name) === name);
      if (field === undefined) continue;
      if (seen.has(field)) throw this.#error(at, `duplicate field ${JSON.stringify(name)}`);
      seen.add(field);
      if (value.kind === 'null') continue;
      if (field.repeated) {
        if (value.kind !== 'array') throw this.#syntax(value);
        result[field.property] = value.items
          .map((item) => this.#value(field, item))
          .filter((each) => each !== undefined);
        continue;
      }
      if (field.oneof !== undefined && (result[field.oneof] as { readonly case: unknown }).case !== undefined)
        throw this.#error(
          at,
          `error parsing ${JSON.stringify(name)}, oneof ${typeName}.${snake(field.oneof)} is already set`,
        );
      const read = this.#value(field, value);
      if (read === undefined) continue;
      if (field.oneof === undefined) result[field.property] = read;
      else result[field.oneof] = { case: field.property, value: read };
    }
    return result;
  }

  #zero({ kind, repeated, asNumber }: JsonField): unknown {
    if (repeated) return [];
    switch (kind) {
      case 'bytes':
        return new Uint8Array(0);
      case 'string':
        return '';
      case 'bool':
        return false;
      case 'message':
        return undefined;
      case 'int64':
      case 'uint64':
        return asNumber ? 0 : 0n;
      default:
        return 0;
    }
  }

  /** Undefined for the name of an enum that is not known: newer callers may know more. */
  #value(field: JsonField, node: JsonNode): unknown {
    const { kind, type } = field;
    switch (kind) {
      case 'message':
        return this.message(type!, node);
      case 'string':
        return node.kind === 'string' ? node.value : this.#invalid(field, node);
      case 'bool':
        return node.kind === 'boolean' ? node.raw === 'true' : this.#invalid(field, node);
      case 'bytes': {
        const bytes = node.kind === 'string' ? base64(node.value) : undefined;
        return bytes ?? this.#invalid(field, node);
      }
      case 'enum':
        if (node.kind === 'string') return new Map(Object.entries(this.#tables.enums[type!]!)).get(node.value);
        return Number(this.#integer(field, node, -(2n ** 31n), 2n ** 31n - 1n));
      case 'int32':
        return Number(this.#integer(field, node, -(2n ** 31n), 2n ** 31n - 1n));
      case 'uint32':
        return Number(this.#integer(field, node, 0n, 2n ** 32n - 1n));
      case 'int64':
        return this.#sized(field, node, this.#integer(field, node, int64Min, int64Max));
      case 'uint64':
        return this.#sized(field, node, this.#integer(field, node, 0n, 2n ** 64n - 1n));
    }
  }

  #sized(field: JsonField, node: JsonNode, value: bigint): number | bigint {
    if (!field.asNumber) return value;
    return Number.isSafeInteger(Number(value)) ? Number(value) : this.#invalid(field, node);
  }

  /** A number, or a string with one in it; with a point or an exponent if it is an integer all the same. */
  #integer(field: JsonField, node: JsonNode, min: bigint, max: bigint): bigint {
    const text = node.kind === 'number' ? node.raw : node.kind === 'string' ? node.value : '';
    const value = integerOf(text);
    return value === undefined || value < min || value > max ? this.#invalid(field, node) : value;
  }

  #invalid({ kind, name }: JsonField, node: JsonNode): never {
    const raw = 'raw' in node ? node.raw : node.kind === 'object' ? '{' : '[';
    throw this.#error(node.at, `invalid value for ${kind} field ${jsonName(name)}: ${raw}`);
  }

  #syntax(node: JsonNode): JsonMessageError {
    const raw = 'raw' in node ? node.raw : node.kind === 'object' ? '{' : '[';
    return new JsonMessageError(`proto: syntax error (line ${this.#place(node.at)}): unexpected token ${raw}`);
  }

  #error(at: number, problem: string): JsonMessageError {
    return new JsonMessageError(`proto: (line ${this.#place(at)}): ${problem}`);
  }

  #place(at: number): string {
    return placeOf(this.#text, at - this.#start);
  }
}

function integerOf(text: string): bigint | undefined {
  const match = /^(-?\d{1,40})(?:\.(\d{1,40}))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text);
  if (match === null) return undefined;
  const [, whole = '', fraction = '', exponentText = '0'] = match;
  const exponent = Number(exponentText);
  const digits = `${whole}${fraction}`;
  // Digits after the point, once the exponent has moved it.
  const after = fraction.length - exponent;
  if (after <= 0) return after < -40 ? undefined : BigInt(digits) * 10n ** BigInt(-after);
  const scale = 10n ** BigInt(after);
  return BigInt(digits) % scale === 0n ? BigInt(digits) / scale : undefined;
}

/** Both alphabets, with padding or without. */
function base64(text: string): Uint8Array | undefined {
  const padded = text.length % 4 === 0;
  const pattern = /[-_]/.test(text) ? /^[A-Za-z0-9_-]*(={0,2})$/ : /^[A-Za-z0-9+/]*(={0,2})$/;
  const match = pattern.exec(text);
  if (match === null || (!padded && (match[1] !== '' || text.length % 4 === 1))) return undefined;
  return Buffer.from(text, 'base64');
}

function jsonName(name: string): string {
  return name.replace(/_+([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function snake(property: string): string {
  return property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
