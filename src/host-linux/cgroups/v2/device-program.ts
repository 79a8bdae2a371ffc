/**
 * The device filter of cgroups v2: a program of type BPF_PROG_TYPE_CGROUP_DEVICE that decides on each use of a device. Rules are tried
 * from the last to the first, because later ones win; what none speaks of is denied.
 * The context (linux/bpf.h, struct bpf_cgroup_dev_ctx): u32 access_type (type in the low half, access in the high), major, minor.
 */

import { allowedByDefault } from '../default-devices.ts';
import type { DeviceRule } from '../resources.ts';

const typeOf: Readonly<Record<string, number>> = { b: 1, c: 2 };
const accessOf: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };
const everyAccess = 7;

/** Instructions used: classes and codes of the eBPF instruction set (Documentation/bpf/standardization). */
const LDX_W = 0x61;
const MOV64_IMM = 0xb7;
const MOV32_REG = 0xbc;
const AND32_IMM = 0x54;
const RSH32_IMM = 0x74;
const JNE_IMM = 0x55;
const JNE_REG = 0x5d;
const EXIT = 0x95;

type Instruction = readonly [code: number, target: number, source: number, offset: number, value: number];

/** Bytes of `struct bpf_insn`s. */
export function deviceProgram(rules: readonly DeviceRule[]): Uint8Array {
  const program: Instruction[] = [
    // r2 = type, r3 = access, r4 = major, r5 = minor
    [LDX_W, 2, 1, 0, 0],
    [AND32_IMM, 2, 0, 0, 0xffff],
    [LDX_W, 3, 1, 0, 0],
    [RSH32_IMM, 3, 0, 0, 16],
    [LDX_W, 4, 1, 4, 0],
    [LDX_W, 5, 1, 8, 0],
  ];
  // The default ones hold whatever the configuration says, so they are the last word.
  for (const rule of [...allowedByDefault, ...rules.toReversed()]) {
    program.push(...block(rule));
    if (matchesEverything(rule)) return encode(program);
  }
  program.push([MOV64_IMM, 0, 0, 0, 0], [EXIT, 0, 0, 0, 0]);
  return encode(program);
}

function matchesEverything(rule: DeviceRule): boolean {
  return (
    typeOf[rule.type ?? ''] === undefined &&
    number(rule.major) < 0 &&
    number(rule.minor) < 0 &&
    access(rule) === everyAccess
  );
}

function number(value: number | undefined): number {
  return value ?? -1;
}

function access(rule: DeviceRule): number {
  let bits = 0;
  for (const letter of rule.access || 'rwm') bits |= accessOf[letter] ?? 0;
  return bits;
}

function block(rule: DeviceRule): Instruction[] {
  // Each test jumps behind the block's end when it fails; offsets are filled in when the length is known.
  const tests: Instruction[] = [];
  const type = typeOf[rule.type ?? ''];
  if (type !== undefined) tests.push([JNE_IMM, 2, 0, 0, type]);
  const bits = access(rule);
  if (bits !== everyAccess) {
    // All of what is asked for must be in the rule.
    tests.push([MOV32_REG, 1, 3, 0, 0], [AND32_IMM, 1, 0, 0, bits], [JNE_REG, 1, 3, 0, 0]);
  }
  if (number(rule.major) >= 0) tests.push([JNE_IMM, 4, 0, 0, rule.major!]);
  if (number(rule.minor) >= 0) tests.push([JNE_IMM, 5, 0, 0, rule.minor!]);
  const verdict: Instruction[] = [
    [MOV64_IMM, 0, 0, 0, rule.allow ? 1 : 0],
    [EXIT, 0, 0, 0, 0],
  ];
  const length = tests.length + verdict.length;
  return [
    ...tests.map(([code, target, source, , value], index): Instruction => {
      const jumps = code === JNE_IMM || code === JNE_REG;
      return [code, target, source, jumps ? length - index - 1 : 0, value];
    }),
    ...verdict,
  ];
}

function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, target, source, offset, value], index) => {
    bytes.writeUInt8(code, index * 8);
    bytes.writeUInt8((source << 4) | target, index * 8 + 1);
    bytes.writeInt16LE(offset, index * 8 + 2);
    bytes.writeInt32LE(value | 0, index * 8 + 4);
  });
  return bytes;
}
