/** Conditions on a system call's arguments: 64-bit comparisons out of the 32-bit ones that classic BPF has. */
import type { SeccompArg } from '#api-oci/runtime-spec.ts';
import { assert } from '#std/assert.ts';
import { RuntimeError } from '../error.ts';
import { type Instruction, load } from './bpf.ts';

export const seccompOperators: readonly string[] = [
  'SCMP_CMP_EQ',
  'SCMP_CMP_GE',
  'SCMP_CMP_GT',
  'SCMP_CMP_LE',
  'SCMP_CMP_LT',
  'SCMP_CMP_MASKED_EQ',
  'SCMP_CMP_NE',
];

const argumentsMax = 6;
const low = (value: bigint) => Number(value & 0xffff_ffffn);
const high = (value: bigint) => Number((value >> 32n) & 0xffff_ffffn);
const and = (mask: number): Instruction => ({ code: 0x54, jt: 0, jf: 0, k: mask >>> 0 });

const jump = (code: number, k: number, jt: number, jf: number): Instruction => ({ code, jt, jf, k });
const JEQ = 0x15;
const JGT = 0x25;
const JGE = 0x35;

/**
 * Runs `hit` (which returns) when the condition holds; else what follows. The high half decides unless it is equal. `miss` below is
 * the length of `hit`: how far the last test jumps over it.
 */
export function compareArgument(
  { index, op, value, valueTwo }: SeccompArg,
  hit: readonly Instruction[],
): Instruction[] {
  if (!Number.isInteger(index) || index < 0 || index >= argumentsMax)
    throw new RuntimeError('InvalidArgument', `seccomp: argument index ${index} is out of range`);
  const loadLow = load(16 + 8 * index);
  const loadHigh = load(20 + 8 * index);
  const [h, l] = [high(value), low(value)];
  const miss = hit.length;
  assert(miss < 250, 'a seccomp condition jumps too far');
  switch (op) {
    case 'SCMP_CMP_EQ':
      return [loadHigh, jump(JEQ, h, 0, 2 + miss), loadLow, jump(JEQ, l, 0, miss), ...hit];
    case 'SCMP_CMP_NE':
      return [loadHigh, jump(JEQ, h, 0, 2), loadLow, jump(JEQ, l, miss, 0), ...hit];
    case 'SCMP_CMP_GT':
    case 'SCMP_CMP_GE': {
      const lowTest = jump(op === 'SCMP_CMP_GT' ? JGT : JGE, l, 0, miss);
      return [loadHigh, jump(JGT, h, 3, 0), jump(JEQ, h, 0, 2 + miss), loadLow, lowTest, ...hit];
    }
    case 'SCMP_CMP_LT':
    case 'SCMP_CMP_LE': {
      const lowTest = jump(op === 'SCMP_CMP_LT' ? JGE : JGT, l, miss, 0);
      return [loadHigh, jump(JGT, h, 3 + miss, 0), jump(JEQ, h, 0, 2), loadLow, lowTest, ...hit];
    }
    case 'SCMP_CMP_MASKED_EQ': {
      const wanted = valueTwo ?? 0n;
      return [
        loadHigh,
        and(h),
        jump(JEQ, high(wanted), 0, 3 + miss),
        loadLow,
        and(l),
        jump(JEQ, low(wanted), 0, miss),
        ...hit,
      ];
    }
    default:
      throw new RuntimeError('InvalidArgument', `string ${op} is not a valid operator for seccomp`);
  }
}
