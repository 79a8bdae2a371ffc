/** The few instructions of classic BPF that a seccomp filter needs (linux/filter.h). Every body here ends in a return. */

export interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** What is decided for calls from this number up to the next branch's. */
export interface Branch {
  readonly from: number;
  readonly body: readonly Instruction[];
}

const jumpMax = 255;
const codeOf = { equal: 0x15, atLeast: 0x35 } as const;

export type Test = keyof typeof codeOf;

/** Loads 32 bits of `struct seccomp_data`. */
export function load(offset: number): Instruction {
  return { code: 0x20, jt: 0, jf: 0, k: offset };
}

export function ret(value: number): Instruction {
  return { code: 0x06, jt: 0, jf: 0, k: value >>> 0 };
}

/** Runs `body` when the test holds (it must return); else what follows. */
export function jumpTo(test: Test, value: number, body: readonly Instruction[]): Instruction[] {
  const code = codeOf[test];
  const k = value >>> 0;
  if (body.length <= jumpMax) return [{ code, jt: 0, jf: body.length, k }, ...body];
  // Conditional jumps reach 255 instructions; an unconditional one reaches everywhere.
  return [{ code, jt: 1, jf: 0, k }, { code: 0x05, jt: 0, jf: 0, k: body.length }, ...body];
}

/** `struct sock_filter`s, little endian. */
export function encodeProgram(program: readonly Instruction[]): Uint8Array {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(({ code, jt, jf, k }, index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jt, index * 8 + 2);
    bytes.writeUInt8(jf, index * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4);
  });
  return bytes;
}
