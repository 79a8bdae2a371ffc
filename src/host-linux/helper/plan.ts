/**
 * Plans for the helper: sequences of operations in its binary form (`native/src/plan.c` reads them). A plan says what to do, in
 * order, and nothing about why; every operation carries a tag by which a failure is found again and told in upstream's words.
 * https://man7.org/linux/man-pages/man2/syscalls.2.html for what each operation does in the end.
 */
import { assert } from '#std/assert.ts';
import { Op } from './op-codes.ts';

/** What the kernel said. `errno` is a number, `text` the helper's detail (often a path). */
export interface HelperFailure {
  readonly tag: number;
  readonly errno: number;
  readonly text: string;
}

/** Tells a failure in words. */
export type Explain = (failure: HelperFailure) => string;

/** What the operations of one request stand for, by tag. Shared by all plans of the request. */
export class Explanations {
  readonly #all: Explain[] = [];

  /** Returns the tag. Tag 0 is the helper's own. */
  add(explain: Explain): number {
    this.#all.push(explain);
    return this.#all.length;
  }

  of(failure: HelperFailure): string | undefined {
    return this.#all[failure.tag - 1]?.(failure);
  }
}

/** Bytes of helper fields, little endian. */
export class FieldWriter {
  #bytes = Buffer.allocUnsafe(1024);
  #length = 0;

  #room(bytes: number): number {
    const at = this.#length;
    if (at + bytes > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, at + bytes));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    this.#length += bytes;
    return at;
  }

  u16(value: number): this {
    const at = this.#room(2);
    this.#bytes.writeUInt16LE(value, at);
    return this;
  }

  /** Negative values wrap, as in C. */
  u32(value: number): this {
    const at = this.#room(4);
    this.#bytes.writeUInt32LE(value >>> 0, at);
    return this;
  }

  u64(value: bigint | number): this {
    const at = this.#room(8);
    this.#bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), at);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.u32(value.length);
    const at = this.#room(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** A string for C: it must not hold a NUL. */
  string(value: string): this {
    assert(!value.includes('\0'), 'a string for the helper holds a NUL');
    const length = Buffer.byteLength(value);
    this.u32(length);
    const at = this.#room(length + 1);
    this.#bytes.write(value, at);
    this.#bytes[at + length] = 0;
    return this;
  }

  strings(values: readonly string[]): this {
    this.u32(values.length);
    for (const value of values) this.string(value);
    return this;
  }

  /** Reserves the length of what `fill` writes, as {@link bytes} does. */
  nested(fill: () => void): this {
    const at = this.#room(4);
    fill();
    this.#bytes.writeUInt32LE(this.#length - at - 4, at);
    return this;
  }

  /** A view; writing on invalidates it. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

export interface OpOptions {
  /** A failure is ignored. */
  readonly soft?: boolean;
}

/** A sequence of operations. */
export class Plan {
  readonly #fields = new FieldWriter();
  readonly #explanations: Explanations;

  constructor(explanations: Explanations = new Explanations()) {
    this.#explanations = explanations;
  }

  get explanations(): Explanations {
    return this.#explanations;
  }

  /** Appends an operation; `fill` writes its fields as `native/src/op_codes.h` lists them. */
  op(code: number, explain: Explain, fill: (fields: FieldWriter) => void = () => {}, options: OpOptions = {}): this {
    this.#fields
      .u16(code)
      .u16(options.soft ? 1 : 0)
      .u32(this.#explanations.add(explain))
      .nested(() => fill(this.#fields));
    return this;
  }

  mkdir(
    path: string,
    mode = 0o755,
    explain: Explain = (failure) => `mkdir ${path}: ${errnoText(failure.errno)}`,
  ): this {
    return this.op(Op.MKDIR, explain, (fields) => fields.string(path).u32(mode));
  }

  write(path: string, value: string | Uint8Array, options?: OpOptions, explain?: Explain): this {
    return this.op(
      Op.WRITE,
      explain ??
        ((failure) =>
          failure.text.startsWith('open')
            ? `open ${path}: ${errnoText(failure.errno)}`
            : `write ${path}: ${errnoText(failure.errno)}`),
      (fields) => fields.string(path).bytes(typeof value === 'string' ? Buffer.from(value) : value),
      options,
    );
  }

  finish(): Uint8Array {
    return this.#fields.finish();
  }
}

/** What strerror(3) says in the C library, as Go prints it too. */
export function errnoText(errno: number): string {
  return errnoTexts[errno] ?? `errno ${errno}`;
}

const errnoTexts: Readonly<Record<number, string>> = {
  1: 'operation not permitted',
  2: 'no such file or directory',
  3: 'no such process',
  4: 'interrupted system call',
  5: 'input/output error',
  6: 'no such device or address',
  7: 'argument list too long',
  8: 'exec format error',
  9: 'bad file descriptor',
  10: 'no child processes',
  11: 'resource temporarily unavailable',
  12: 'cannot allocate memory',
  13: 'permission denied',
  14: 'bad address',
  16: 'device or resource busy',
  17: 'file exists',
  18: 'invalid cross-device link',
  19: 'no such device',
  20: 'not a directory',
  21: 'is a directory',
  22: 'invalid argument',
  23: 'too many open files in system',
  24: 'too many open files',
  26: 'text file busy',
  27: 'file too large',
  28: 'no space left on device',
  29: 'illegal seek',
  30: 'read-only file system',
  31: 'too many links',
  32: 'broken pipe',
  34: 'numerical result out of range',
  36: 'file name too long',
  38: 'function not implemented',
  39: 'directory not empty',
  40: 'too many levels of symbolic links',
  71: 'protocol error',
  75: 'value too large for defined data type',
  95: 'operation not supported',
  97: 'address family not supported by protocol',
  98: 'address already in use',
  99: 'cannot assign requested address',
  101: 'network is unreachable',
  104: 'connection reset by peer',
  110: 'connection timed out',
  111: 'connection refused',
  113: 'no route to host',
  125: 'operation canceled',
};
