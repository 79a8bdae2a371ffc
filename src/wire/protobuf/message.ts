/**
 * What generated protobuf code looks like to the rest of the program. `tools/gen` turns each `.proto` file of ours into a
 * module that exports, for a message `Foo`, an interface `Foo` and a constant `Foo: MessageType<Foo>`.
 *
 * Shapes: fields are camelCase; strings, numbers, booleans and bytes are always present (proto3 zero values), message
 * fields are `T | undefined`, `optional` scalars are `T | undefined`, repeated fields are arrays, maps are `Map`.
 * `bytes` is `Uint8Array` (decoding gives views of the input, never copies). int64 and uint64 are `bigint` unless the field
 * says `[jstype = JS_NUMBER]`: then `number`, asserted to be a safe integer. A oneof is a tagged union:
 * `{ readonly case: 'requestRange', value: RangeRequest } | ... | { case: undefined }`. Enums are plain objects of numbers
 * (`const` record plus a number union type). Messages are immutable: nobody writes to one after handing it over.
 */
export interface MessageType<T> {
  /** Full name, `etcdserverpb.PutRequest`. */
  readonly typeName: string;
  /** A message with zero values, overridden by `init`. */
  create(init?: Partial<T>): T;
  /** Length of the encoding in bytes. */
  size(message: T): number;
  /** Writes the encoding into `target` at `offset`; returns the offset after it. The room must be there (`size`). */
  write(message: T, target: Buffer, offset: number): number;
  /** The encoding, in a buffer of its own. Fields in ascending number, as the reference writes them. */
  encode(message: T): Buffer;
  /** Reads all of `bytes`. Unknown fields are skipped. Throws `ProtobufError` for malformed input. */
  decode(bytes: Uint8Array): T;
}

/** Bytes that are not a valid encoding of the message they were said to be. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError';
}
