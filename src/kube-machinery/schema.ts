/**
 * Types of API objects as data: decoding with upstream's strictness and words, and how patches merge. Built-in kinds and custom resources
 * are described by the same records; where they come from is not known here.
 */
import { base64Fault } from './base64.ts';
import { parseQuantity, QuantityError } from './quantity.ts';
import { badRequestError, StatusError } from './status.ts';
import type { FieldStrategy, PatchSchema } from './strategic-merge-patch.ts';

export type ScalarType =
  | 'string'
  | 'int32'
  | 'int64'
  | 'double'
  | 'bool'
  | 'bytes'
  | 'time'
  | 'quantity'
  | 'int-or-string'
  /** Any JSON, kept as it is. */
  | 'any';

export type Schema =
  | { readonly type: ScalarType }
  | { readonly type: 'list'; readonly items: Schema }
  | { readonly type: 'map'; readonly values: Schema }
  | ObjectSchema;

export interface ObjectSchema {
  readonly type: 'object';
  /** `PodSpec`, and with its package `v1.PodSpec`: for messages. */
  readonly name: string;
  readonly goName: string;
  readonly fields: ReadonlyMap<string, Field>;
  /** Appliers own it as a whole. */
  readonly atomic: boolean;
}

export interface Field {
  readonly schema: Schema;
  readonly required: boolean;
  /** Go leaves it out when it is empty: the value may stand in an object and means nothing. */
  readonly omitEmpty?: true;
  /** Strategic merge patch: `merge`, `replace`, `retainKeys`. */
  readonly strategies: readonly string[];
  readonly mergeKey?: string;
  readonly listType: 'atomic' | 'set' | 'map';
  readonly listKeys: readonly string[];
  /** For maps: appliers own it as a whole, or key by key. Granular where nothing is said. */
  readonly mapType?: 'atomic' | 'granular';
}

/**
 * Why a value is not an object of its kind: unknown fields where none may be, or another type. The cause of the StatusError that
 * {@link decode} throws; `message` in the words of Go's JSON decoder.
 */
export class DecodeProblem extends Error {
  override readonly name = 'DecodeProblem';
  /** In the words of Go's converter of unstructured values, by which upstream applies strategic merge patches. */
  readonly conversionMessage: string;

  constructor(message: string, conversionMessage = message) {
    super(message);
    this.conversionMessage = conversionMessage;
  }
}

/** @param problems `unknown field "spec.foo"`, `duplicate field "spec"` */
export function strictDecodingProblem(problems: readonly string[]): DecodeProblem {
  return new DecodeProblem(`strict decoding error: ${problems.join(', ')}`);
}

/** What a client hears that sent such an object. */
export function decodeFailure(kind: string, version: string, problem: DecodeProblem): StatusError {
  const message = `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}: ${problem.message}`;
  return new StatusError(badRequestError(message).status, { cause: problem });
}

export interface DecodeOptions {
  /** Unknown fields: refuse, warn and drop, or drop. */
  readonly mode: 'Strict' | 'Warn' | 'Ignore';
  readonly warn: (message: string) => void;
  /** For messages. */
  readonly kind: string;
  readonly version: string;
}

const problemsMax = 100;

/** A copy without nulls, unknown fields and empty values that mean nothing, quantities in canonical form. @throws StatusError BadRequest */
export function decode(
  schema: ObjectSchema,
  value: unknown,
  options: DecodeOptions,
): Readonly<Record<string, unknown>> {
  const unknown: string[] = [];
  const path: string[] = [];
  /** As `path`, with the places in lists and the keys of maps: `spec.containers[0]`. */
  const place: string[] = [];
  const inPlace = <T>(step: string, work: () => T): T => {
    place.push(step);
    const result = work();
    place.pop();
    return result;
  };
  const decodeValue = (type: Schema, input: unknown, owner: string): unknown => {
    switch (type.type) {
      case 'object': {
        if (typeof input !== 'object' || input === null || Array.isArray(input))
          throw mismatch(input, owner, path, type.goName);
        return decodeObject(type, input as Record<string, unknown>);
      }
      case 'list':
        if (!Array.isArray(input)) throw mismatch(input, owner, path, goType(type));
        return input.map((item, index) =>
          item === null ? zeroOf(type.items) : inPlace(`[${index}]`, () => decodeValue(type.items, item, owner)),
        );
      case 'map': {
        if (typeof input !== 'object' || input === null || Array.isArray(input))
          throw mismatch(input, owner, path, goType(type));
        const copy: Record<string, unknown> = {};
        for (const [key, item] of Object.entries(input))
          set(
            copy,
            key,
            item === null ? zeroOf(type.values) : inPlace(`.${key}`, () => decodeValue(type.values, item, owner)),
          );
        return copy;
      }
      default:
        return scalar(type.type, input, owner, path);
    }
  };
  const decodeObject = (type: ObjectSchema, input: Record<string, unknown>): Record<string, unknown> => {
    const copy: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(input)) {
      const field = type.fields.get(key);
      if (field === undefined) {
        if (unknown.length < problemsMax) unknown.push([...place, `.${key}`].join('').slice(1));
        continue;
      }
      if (item === null) continue;
      path.push(key);
      const decoded = inPlace(`.${key}`, () => decodeValue(field.schema, item, type.name));
      path.pop();
      if (!(field.omitEmpty && isEmpty(field.schema, decoded))) copy[key] = decoded;
    }
    return copy;
  };
  const { kind, version } = options;
  let decoded: Record<string, unknown>;
  try {
    decoded = decodeObject(schema, value as Record<string, unknown>);
  } catch (error) {
    if (error instanceof QuantityError) throw decodeFailure(kind, version, new DecodeProblem(error.message));
    if (error instanceof DecodeProblem) throw decodeFailure(kind, version, error);
    throw error;
  }
  if (unknown.length > 0 && options.mode !== 'Ignore') {
    const messages = unknown.map((field) => `unknown field ${JSON.stringify(field)}`);
    if (options.mode === 'Strict') throw decodeFailure(kind, version, strictDecodingProblem(messages));
    for (const message of messages) options.warn(message);
  }
  return decoded;
}

/** What Go's `omitempty` leaves out: structs are never empty. */
function isEmpty(schema: Schema, value: unknown): boolean {
  switch (schema.type) {
    case 'list':
      return (value as readonly unknown[]).length === 0;
    case 'map':
      return Object.keys(value as object).length === 0;
    case 'string':
    case 'bytes':
      return value === '';
    case 'bool':
      return value === false;
    case 'int32':
    case 'int64':
    case 'double':
      return value === 0;
    default:
      return false;
  }
}

/** Own property whatever its name. */
function set(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  else object[key] = value;
}

function scalar(type: ScalarType, input: unknown, owner: string, path: readonly string[]): unknown {
  switch (type) {
    case 'any':
      return input;
    case 'string':
    case 'time':
    case 'bytes':
      if (typeof input !== 'string')
        throw mismatch(input, owner, path, type === 'bytes' ? '[]uint8' : type === 'time' ? 'v1.Time' : 'string');
      if (type === 'time') checkTime(input);
      if (type === 'bytes') checkBytes(input);
      return input;
    case 'bool':
      if (typeof input !== 'boolean') throw mismatch(input, owner, path, 'bool');
      return input;
    case 'double':
      if (typeof input !== 'number') throw mismatch(input, owner, path, 'float64');
      return input;
    case 'int32':
    case 'int64': {
      if (typeof input !== 'number' || !Number.isInteger(input)) throw mismatch(input, owner, path, type);
      if (type === 'int32' && (input > 2 ** 31 - 1 || input < -(2 ** 31))) throw mismatch(input, owner, path, type);
      return input;
    }
    case 'int-or-string':
      if (typeof input !== 'string' && !(typeof input === 'number' && Number.isInteger(input)))
        throw mismatch(input, owner, path, 'int32');
      return input;
    case 'quantity':
      if (typeof input !== 'string' && typeof input !== 'number')
        throw new QuantityError(
          "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        );
      return parseQuantity(String(input).trim()).toString();
  }
}

const timeForm = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

function checkTime(text: string): void {
  if (timeForm.test(text)) return;
  throw new DecodeProblem(
    `parsing time ${JSON.stringify(text)} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(text)} as "2006"`,
  );
}

function checkBytes(text: string): void {
  const fault = base64Fault(text);
  if (fault !== undefined) throw new DecodeProblem(`illegal base64 data at input byte ${fault}`);
}

function zeroOf(schema: Schema): unknown {
  switch (schema.type) {
    case 'object':
    case 'map':
      return {};
    case 'list':
      return [];
    case 'bool':
      return false;
    case 'int32':
    case 'int64':
    case 'double':
      return 0;
    case 'quantity':
      return '0';
    case 'any':
    case 'time':
      return null;
    default:
      return '';
  }
}

function mismatch(input: unknown, owner: string, path: readonly string[], wanted: string): DecodeProblem {
  const what =
    typeof input === 'number'
      ? Number.isInteger(input) && !wanted.startsWith('int')
        ? 'number'
        : `number${wanted.startsWith('int') ? ` ${input}` : ''}`
      : typeof input === 'boolean'
        ? 'bool'
        : Array.isArray(input)
          ? 'array'
          : typeof input;
  return new DecodeProblem(
    `json: cannot unmarshal ${what} into Go struct field ${owner}.${path.join('.')} of type ${wanted}`,
    conversionText(input, wanted),
  );
}

function conversionText(input: unknown, wanted: string): string {
  const source = Array.isArray(input)
    ? 'slice'
    : typeof input === 'number'
      ? Number.isInteger(input)
        ? 'int64'
        : 'float64'
      : typeof input === 'boolean'
        ? 'bool'
        : typeof input === 'object'
          ? 'map'
          : typeof input;
  if (wanted.startsWith('map[')) return `cannot restore map from ${source}`;
  if (wanted.startsWith('[]')) return `cannot restore slice from ${source}`;
  if (wanted.includes('.')) return `cannot restore struct from: ${source}`;
  // Go converts numbers into strings and one another; whatever else has no simple way.
  const number = source === 'int64' || source === 'float64';
  return number && wanted !== 'bool' ? `cannot convert ${source} to ${wanted}` : `unrecognized type: ${wanted}`;
}

function goType(schema: Schema): string {
  switch (schema.type) {
    case 'object':
      return schema.goName;
    case 'list':
      return `[]${goType(schema.items)}`;
    case 'map':
      return `map[string]${goType(schema.values)}`;
    case 'double':
      return 'float64';
    case 'bytes':
      return '[]uint8';
    case 'time':
      return 'v1.Time';
    case 'quantity':
      return 'resource.Quantity';
    case 'int-or-string':
      return 'intstr.IntOrString';
    case 'any':
      return 'interface {}';
    default:
      return schema.type;
  }
}

/** How strategic merge patches see a type. */
export function patchSchema(schema: ObjectSchema): PatchSchema {
  return {
    field(name): FieldStrategy | undefined {
      const field = schema.fields.get(name);
      if (field === undefined) return undefined;
      const inner = innermost(field.schema);
      return {
        strategies: field.strategies,
        ...(field.mergeKey !== undefined && { mergeKey: field.mergeKey }),
        ...(inner !== undefined && { schema: patchSchema(inner) }),
      };
    },
  };
}

/** The object type of a field, of the elements of a list, of the values of a map. */
function innermost(schema: Schema): ObjectSchema | undefined {
  if (schema.type === 'object') return schema;
  if (schema.type === 'list') return innermost(schema.items);
  return undefined;
}
