/** What each scalar type of protobuf is in generated code: its TypeScript type, zero value, and how to measure, write and read it. */
import type { ProtoField } from './parse.ts';

export interface Scalar {
  readonly type: string;
  readonly zero: string;
  readonly wireType: 0 | 1 | 2 | 5;
  /** Expressions over the value's expression. */
  size(value: string): string;
  write(value: string): string;
  readonly read: string;
  /** Condition under which proto3 leaves the field out. */
  isZero(value: string): string;
}

const number = (
  wireType: 0 | 1 | 5,
  size: (value: string) => string,
  write: (value: string) => string,
  read: string,
): Scalar => ({
  type: 'number',
  zero: '0',
  wireType,
  size,
  write,
  read,
  isZero: (value) => `${value} === 0`,
});

const bigint = (
  wireType: 0 | 1,
  size: (value: string) => string,
  write: (value: string) => string,
  read: string,
): Scalar => ({
  type: 'bigint',
  zero: '0n',
  wireType,
  size,
  write,
  read,
  isZero: (value) => `${value} === 0n`,
});

const scalars: Readonly<Record<string, Scalar>> = {
  int32: number(
    0,
    (v) => `w.sizeInt32(${v})`,
    (v) => `w.writeInt32(${v}, target, at)`,
    'int32()',
  ),
  uint32: number(
    0,
    (v) => `w.sizeUint32(${v})`,
    (v) => `w.writeUint32(${v}, target, at)`,
    'uint32()',
  ),
  sint32: number(
    0,
    (v) => `w.sizeUint32(w.zigzag32(${v}))`,
    (v) => `w.writeUint32(w.zigzag32(${v}), target, at)`,
    'sint32()',
  ),
  int64: bigint(
    0,
    (v) => `w.sizeInt64(${v})`,
    (v) => `w.writeInt64(${v}, target, at)`,
    'int64()',
  ),
  uint64: bigint(
    0,
    (v) => `w.sizeInt64(${v})`,
    (v) => `w.writeInt64(${v}, target, at)`,
    'uint64()',
  ),
  sint64: bigint(
    0,
    (v) => `w.sizeInt64(w.zigzag64(${v}))`,
    (v) => `w.writeInt64(w.zigzag64(${v}), target, at)`,
    'sint64()',
  ),
  fixed32: number(
    5,
    () => '4',
    (v) => `target.writeUInt32LE(${v}, at)`,
    'fixed32()',
  ),
  sfixed32: number(
    5,
    () => '4',
    (v) => `target.writeInt32LE(${v}, at)`,
    'sfixed32()',
  ),
  fixed64: bigint(
    1,
    () => '8',
    (v) => `target.writeBigUInt64LE(${v}, at)`,
    'fixed64()',
  ),
  sfixed64: bigint(
    1,
    () => '8',
    (v) => `target.writeBigInt64LE(${v}, at)`,
    'sfixed64()',
  ),
  float: number(
    5,
    () => '4',
    (v) => `target.writeFloatLE(${v}, at)`,
    'float()',
  ),
  // Negative zero is not the zero that is left out.
  double: {
    ...number(
      1,
      () => '8',
      (v) => `target.writeDoubleLE(${v}, at)`,
      'double()',
    ),
    isZero: (v) => `Object.is(${v}, 0)`,
  },
  bool: {
    type: 'boolean',
    zero: 'false',
    wireType: 0,
    size: () => '1',
    write: (v) => `target.writeUInt8(${v} ? 1 : 0, at)`,
    read: 'bool()',
    isZero: (v) => `!${v}`,
  },
  string: {
    type: 'string',
    zero: "''",
    wireType: 2,
    size: (v) => `w.sizeString(${v})`,
    write: (v) => `w.writeString(${v}, target, at)`,
    read: 'string()',
    isZero: (v) => `${v} === ''`,
  },
  bytes: {
    type: 'Uint8Array',
    zero: 'empty',
    wireType: 2,
    size: (v) => `w.sizeBytes(${v})`,
    write: (v) => `w.writeBytes(${v}, target, at)`,
    read: 'bytesField()',
    isZero: (v) => `${v}.length === 0`,
  },
};

const int64Number = number(
  0,
  (v) => `w.sizeInt64Number(${v})`,
  (v) => `w.writeInt64Number(${v}, target, at)`,
  'int64Number()',
);
const uint64Number = { ...int64Number, read: 'uint64Number()' };

/** The scalar of a field; undefined for a message or an enum. `[jstype = JS_NUMBER]` makes 64-bit integers safe numbers. */
export function scalarOf(type: string, field: Pick<ProtoField, 'options'>): Scalar | undefined {
  if (field.options.get('jstype') === 'JS_NUMBER') {
    if (type === 'int64') return int64Number;
    if (type === 'uint64') return uint64Number;
  }
  return scalars[type];
}

/** Enums travel as int32. */
export function enumScalar(identifier: string): Scalar {
  return { ...scalars['int32']!, type: identifier, zero: `0 as ${identifier}`, read: `int32() as ${identifier}` };
}
