/**
 * `linux.seccomp` to a classic BPF program for seccomp(2): the architecture is checked, then the call's number is looked up in a binary
 * search tree, then arguments where rules have them. Pure; needs no library.
 * Numbers that no rule could know (newer kernels) get ENOSYS instead of a refusal, so that C libraries fall back, as upstream does.
 */
import type { Seccomp, SeccompArg, SeccompSyscall } from '#api-oci/runtime-spec.ts';
import { RuntimeError } from '../error.ts';
import { type Branch, encodeProgram, type Instruction, jumpTo, load, ret } from './bpf.ts';
import { compareArgument } from './compare.ts';
import { type SyscallRun, syscallsArm, syscallsArm64, syscallsX64, syscallsX86 } from './syscalls.ts';

export interface SeccompFilter {
  /** SECCOMP_FILTER_FLAG_*. */
  readonly flags: number;
  /** `struct sock_filter`s. */
  readonly program: Uint8Array;
}

export type SeccompArch = 'x64' | 'arm64';

interface Abi {
  /** AUDIT_ARCH_*. */
  readonly audit: number;
  readonly runs: readonly SyscallRun[];
  readonly names: readonly string[];
}

const abis: Readonly<Record<string, Abi>> = {
  SCMP_ARCH_X86_64: { audit: 0xc000003e, runs: syscallsX64, names: [] },
  SCMP_ARCH_X86: { audit: 0x40000003, runs: syscallsX86, names: [] },
  SCMP_ARCH_AARCH64: { audit: 0xc00000b7, runs: syscallsArm64, names: [] },
  SCMP_ARCH_ARM: { audit: 0x40000028, runs: syscallsArm, names: [] },
};
const nativeAbi: Readonly<Record<SeccompArch, string>> = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' };
/** Names the specification knows but that can never run here: allowed in a configuration, and without effect. */
const x32 = 'SCMP_ARCH_X32';
const x32Bit = 0x40000000;

const actions: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: 0x00000000,
  SCMP_ACT_KILL_THREAD: 0x00000000,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_NOTIFY: 0x7fc00000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};
export const seccompActions: readonly string[] = Object.keys(actions).sort();
export const seccompArchitectures: readonly string[] = [...Object.keys(abis), x32].sort();

const filterFlags: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
};
export const seccompFlags: readonly string[] = Object.keys(filterFlags).sort();

const EPERM = 1;
const ENOSYS = 38;
const killThread = 0;
const instructionsMax = 4096;
/** Offsets in `struct seccomp_data`. */
const offsetNumber = 0;
const offsetArch = 4;

/** Throws RuntimeError for what cannot be honoured. */
export function compileSeccomp(seccomp: Seccomp, arch: SeccompArch): SeccompFilter {
  const defaultAction = actionOf(seccomp.defaultAction, seccomp.defaultErrnoRet);
  if (
    (seccomp.syscalls ?? []).some((rule) => rule.action === 'SCMP_ACT_NOTIFY') ||
    defaultAction === actions['SCMP_ACT_NOTIFY']
  )
    throw new RuntimeError('Unimplemented', 'seccomp: SCMP_ACT_NOTIFY is not supported');
  let flags = seccomp.flags === undefined ? filterFlags['SECCOMP_FILTER_FLAG_SPEC_ALLOW']! : 0;
  for (const name of seccomp.flags ?? []) {
    const flag = filterFlags[name];
    if (flag === undefined)
      throw new RuntimeError('InvalidArgument', `seccomp flag ${JSON.stringify(name)} is not known`);
    flags |= flag;
  }
  const wanted = new Set([nativeAbi[arch], ...(seccomp.architectures ?? [])]);
  const program: Instruction[] = [load(offsetArch)];
  for (const name of wanted) {
    if (name === x32 || !belongsTo(name, arch)) continue;
    const abi = abis[name]!;
    const body = compileAbi(seccomp, abi, defaultAction, name === 'SCMP_ARCH_X86_64', wanted.has(x32));
    program.push(...jumpTo('equal', abi.audit, body));
  }
  // A program for another processor than the filter speaks of could do anything under false numbers.
  program.push(ret(killThread));
  if (program.length > instructionsMax)
    throw new RuntimeError('InvalidArgument', `seccomp: the filter is too long: ${program.length} instructions`);
  return { flags, program: encodeProgram(program) };
}

/** Other processors' architectures may be listed; they never run here. */
function belongsTo(name: string, arch: SeccompArch): boolean {
  if (!/^SCMP_ARCH_[A-Z0-9_]+$/.test(name)) throw new RuntimeError('InvalidArgument', `invalid architecture: ${name}`);
  return arch === 'x64'
    ? name === 'SCMP_ARCH_X86_64' || name === 'SCMP_ARCH_X86'
    : name === 'SCMP_ARCH_AARCH64' || name === 'SCMP_ARCH_ARM';
}

function actionOf(name: string, errno: number | undefined): number {
  const action = actions[name];
  if (action === undefined)
    throw new RuntimeError('InvalidArgument', `string ${name} is not a valid action for seccomp`);
  const carries = name === 'SCMP_ACT_ERRNO' || name === 'SCMP_ACT_TRACE';
  if (errno !== undefined && errno !== 0 && !carries)
    throw new RuntimeError('InvalidArgument', `seccomp: action ${name} does not take an errno`);
  return carries ? action | ((errno ?? EPERM) & 0xffff) : action;
}

/** Numbers by name. */
function numbersOf(abi: Abi): Map<string, number> {
  const numbers = new Map<string, number>();
  for (const [first, names] of abi.runs)
    names.split(' ').forEach((entry, index) => {
      for (const name of entry.split('|')) numbers.set(name, first + index);
    });
  return numbers;
}

interface CallRules {
  readonly conditional: { readonly args: readonly SeccompArg[]; readonly action: number }[];
  unconditional: number | undefined;
}

function compileAbi(
  seccomp: Seccomp,
  abi: Abi,
  defaultAction: number,
  isX64: boolean,
  withX32: boolean,
): Instruction[] {
  const numbers = numbersOf(abi);
  const calls = new Map<number, CallRules>();
  for (const rule of seccomp.syscalls ?? []) addRule(rule, numbers, calls, defaultAction);
  const last = Math.max(-1, ...calls.keys());
  const branches = branchesOf(calls, defaultAction);
  const denies =
    defaultAction >>> 16 !== actions['SCMP_ACT_ALLOW']! >>> 16 && defaultAction !== actions['SCMP_ACT_LOG'];
  if (denies && last >= 0) branches.push({ from: last + 1, body: [ret(actions['SCMP_ACT_ERRNO']! | ENOSYS)] });
  else branches.push({ from: last + 1, body: [ret(defaultAction)] });
  const program: Instruction[] = [load(offsetNumber)];
  if (isX64)
    // x32 calls come under the same architecture with a bit in their number.
    program.push(
      ...jumpTo(
        'atLeast',
        x32Bit,
        withX32 ? [{ code: 0x54, k: ~x32Bit >>> 0, jt: 0, jf: 0 }, ...tree(branches)] : [ret(killThread)],
      ),
    );
  return [...program, ...tree(branches)];
}

function addRule(
  rule: SeccompSyscall,
  numbers: ReadonlyMap<string, number>,
  calls: Map<number, CallRules>,
  defaultAction: number,
): void {
  const action = actionOf(rule.action, rule.errnoRet);
  if (action === defaultAction) return;
  for (const name of rule.names) {
    const number = numbers.get(name);
    // A call this architecture does not have cannot be made.
    if (number === undefined) continue;
    let call = calls.get(number);
    if (call === undefined) calls.set(number, (call = { conditional: [], unconditional: undefined }));
    const args = rule.args ?? [];
    if (args.length === 0) call.unconditional ??= action;
    // Several conditions on one argument are alternatives, conditions on different ones belong together: libseccomp's rule.
    else if (new Set(args.map(({ index }) => index)).size < args.length)
      for (const arg of args) call.conditional.push({ args: [arg], action });
    else call.conditional.push({ args, action });
  }
}

/** Adjacent numbers with the same verdict become one branch. */
function branchesOf(calls: ReadonlyMap<number, CallRules>, defaultAction: number): Branch[] {
  const branches: Branch[] = [];
  let open: { readonly action: number } | undefined;
  const verdict = (from: number, action: number) => {
    if (open?.action === action) return;
    open = { action };
    branches.push({ from, body: [ret(action)] });
  };
  let next = 0;
  for (const number of [...calls.keys()].sort((a, b) => a - b)) {
    const { conditional, unconditional } = calls.get(number)!;
    if (number > next) verdict(next, defaultAction);
    if (conditional.length === 0) verdict(number, unconditional!);
    else {
      open = undefined;
      branches.push({ from: number, body: conditionalBody(conditional, unconditional ?? defaultAction) });
    }
    next = number + 1;
  }
  return branches;
}

function conditionalBody(rules: CallRules['conditional'], otherwise: number): Instruction[] {
  let body: Instruction[] = [ret(otherwise)];
  for (const { args, action } of rules.toReversed()) {
    let hit: Instruction[] = [ret(action)];
    for (const arg of args.toReversed()) hit = compareArgument(arg, hit);
    body = [...hit, ...body];
  }
  return body;
}

/** A binary search over branches sorted by their first number; the first begins at 0. */
function tree(branches: readonly Branch[]): Instruction[] {
  if (branches.length === 1) return [...branches[0]!.body];
  const middle = branches.length >> 1;
  const right = tree(branches.slice(middle));
  return [...jumpTo('atLeast', branches[middle]!.from, right), ...tree(branches.slice(0, middle))];
}
