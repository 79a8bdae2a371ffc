/**
 * A process's own part of a plan, the same for a container's first process and for an exec: streams, limits, who it is, what it
 * may, and its program. The order matters and is upstream's: what needs rights comes before they are given up.
 */

import { capabilitySet } from '#api-oci/capabilities.ts';
import type { Process } from '#api-oci/runtime-spec.ts';
import { noRegister, Op } from '#host-linux/helper/op-codes.ts';
import { type Explain, errnoText, type Plan } from '#host-linux/helper/plan.ts';
import { RuntimeError } from '../error.ts';
import type { SeccompFilter } from '../seccomp/compile.ts';

const rlimits: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
};

const schedulerPolicies: Readonly<Record<string, number>> = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
};
const schedulerFlags: Readonly<Record<string, number>> = {
  SCHED_FLAG_RESET_ON_FORK: 0x01,
  SCHED_FLAG_RECLAIM: 0x02,
  SCHED_FLAG_DL_OVERRUN: 0x04,
  SCHED_FLAG_KEEP_POLICY: 0x08,
  SCHED_FLAG_KEEP_PARAMS: 0x10,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40,
};
const ioPriorityClasses: Readonly<Record<string, number>> = {
  IOPRIO_CLASS_RT: 1,
  IOPRIO_CLASS_BE: 2,
  IOPRIO_CLASS_IDLE: 3,
};

/** How the process's descriptors 0 to 2 come about. */
export type StreamPlan =
  /** The monitor's pipes, in registers 0 to 2. */
  | { readonly kind: 'pipes' }
  /** As the starter has them. */
  | { readonly kind: 'inherit' }
  /** A pseudo-terminal of the container's devpts; `bindConsole` puts it on /dev/console. */
  | { readonly kind: 'terminal'; readonly bindConsole: boolean };

export interface ProcessInput {
  readonly process: Process;
  /** Capabilities the starter itself has: nobody can give more. */
  readonly available: bigint;
  readonly seccomp: SeccompFilter | undefined;
  /** In a user namespace where setgroups is denied. */
  readonly setGroups: boolean;
  readonly keyring: string | undefined;
  /** Descriptors from 3 that stay open across exec. */
  readonly preserveFds: number;
  /** Register of the FIFO that `start` reads, or noRegister when the monitor lets the process go. */
  readonly startRegister: number;
  /** Operations after the process was let go and before its program: startContainer hooks. */
  readonly beforeProgram: (plan: Plan) => void;
}

const say =
  (what: string): Explain =>
  (failure) =>
    `${what}: ${errnoText(failure.errno)}`;

/** Limits of the child, set by the supervisor because the child may not be allowed to. */
export function planRlimits(plan: Plan, process: Process, soft: boolean): void {
  for (const limit of process.rlimits ?? []) {
    const resource = rlimits[limit.type];
    if (resource === undefined) throw new RuntimeError('InvalidArgument', `invalid rlimit type: ${limit.type}`);
    plan.op(
      Op.RLIMIT,
      (failure) => `error setting rlimit type ${resource}: ${errnoText(failure.errno)}`,
      (fields) => fields.u32(resource).u64(limit.soft).u64(limit.hard),
      // Raising a hard limit needs CAP_SYS_RESOURCE, which not every root has.
      { soft },
    );
  }
}

export function planOomScore(plan: Plan, process: Process): void {
  const score = process.oomScoreAdj;
  if (score === undefined) return;
  plan.op(
    Op.WRITE_PROC,
    (failure) => `write oom_score_adj: ${errnoText(failure.errno)}`,
    (fields) => fields.string('self/oom_score_adj').bytes(Buffer.from(String(score))),
    // Lowering the score below one's own needs CAP_SYS_RESOURCE, which not every root has.
    { soft: score < 0 },
  );
}

export function planStreams(plan: Plan, streams: StreamPlan, process: Process): void {
  if (streams.kind === 'terminal') {
    const { height, width } = process.consoleSize ?? { height: 0, width: 0 };
    plan.op(
      Op.CONSOLE,
      (failure) => `error setting up console: ${failure.text}: ${errnoText(failure.errno)}`,
      (fields) =>
        fields
          .u32(height)
          .u32(width)
          .u32(streams.bindConsole ? 1 : 0)
          .u32(process.user?.uid ?? 0),
    );
    return;
  }
  plan.op(Op.SETSID, say('setsid'));
  if (streams.kind === 'pipes') plan.op(Op.STDIO, say('stdio'), (fields) => fields.u32(0).u32(1).u32(2));
  else plan.op(Op.STDIO, say('stdio'), (fields) => fields.u32(noRegister).u32(noRegister).u32(noRegister));
}

/** Everything from here on happens in the container, last of all its program. */
export function planProcess(plan: Plan, input: ProcessInput): void {
  const { process, seccomp } = input;
  const user = process.user ?? { uid: 0, gid: 0 };
  if (input.keyring !== undefined)
    plan.op(Op.KEYRING, say('unable to create session keyring'), (fields) => fields.string(input.keyring!));
  planScheduling(plan, process);
  if (process.apparmorProfile)
    plan.op(
      Op.WRITE_PROC,
      (failure) => `apparmor failed to apply profile: ${errnoText(failure.errno)}`,
      (fields) => fields.string('self/attr/apparmor/exec').bytes(Buffer.from(`exec ${process.apparmorProfile}`)),
    );
  if (process.selinuxLabel)
    plan.op(
      Op.WRITE_PROC,
      (failure) => `can't set process label: ${errnoText(failure.errno)}`,
      (fields) => fields.string('self/attr/exec').bytes(Buffer.from(process.selinuxLabel!)),
    );
  plan.op(Op.CLOEXEC_FROM, say('close exec fds'), (fields) => fields.u32(3 + input.preserveFds));
  // Without no_new_privs a filter needs CAP_SYS_ADMIN, so it comes before capabilities go; with it, as late as possible.
  if (process.noNewPrivileges) plan.op(Op.NO_NEW_PRIVS, say('no_new_privs'));
  else planSeccomp(plan, seccomp);
  const { available } = input;
  const capabilities = process.capabilities;
  const bounding = capabilitySet(capabilities?.bounding) & available;
  plan.op(Op.BOUNDING, say('unable to apply bounding set'), (fields) => fields.u64(bounding));
  const gids = user.additionalGids ?? [];
  plan.op(
    Op.USER,
    (failure) => `${failure.text}: ${errnoText(failure.errno)}`,
    (fields) => {
      fields
        .u32(user.uid)
        .u32(user.gid)
        .u32(user.umask ?? 0o22)
        .u32(input.setGroups ? 1 : 0)
        .u32(gids.length);
      for (const gid of gids) fields.u32(gid);
    },
  );
  const permitted = capabilitySet(capabilities?.permitted) & available;
  plan.op(Op.CAPS, say('unable to apply caps'), (fields) => {
    fields.u64(capabilitySet(capabilities?.effective) & permitted).u64(permitted);
    fields
      .u64(capabilitySet(capabilities?.inheritable) & available)
      .u64(capabilitySet(capabilities?.ambient) & available);
  });
  plan.op(
    Op.CWD,
    (failure) =>
      failure.text.startsWith('chdir')
        ? `${failure.text} set in config.json failed: ${errnoText(failure.errno)}`
        : failure.text,
    (fields) => fields.string(process.cwd),
  );
  const { args = [], env = [] } = process;
  plan.op(
    Op.LOOK_PATH,
    (failure) => explainLookPath(args[0] ?? '', failure.errno),
    (fields) => fields.strings(args).strings(env),
  );
  if (process.noNewPrivileges) planSeccomp(plan, seccomp);
  plan.op(Op.AWAIT_START, say('exec fifo'), (fields) => fields.u32(input.startRegister));
  input.beforeProgram(plan);
  plan.op(Op.EXEC, (failure) => `exec ${failure.text}: ${errnoText(failure.errno)}`);
}

/** Go's exec.LookPath, whose words clients show and match. */
function explainLookPath(name: string, errno: number): string {
  if (name.includes('/') && errno === 2)
    return `exec: ${JSON.stringify(name)}: stat ${name}: no such file or directory`;
  if (errno === 2) return `exec: ${JSON.stringify(name)}: executable file not found in $PATH`;
  return `exec: ${JSON.stringify(name)}: ${errnoText(errno)}`;
}

function planSeccomp(plan: Plan, seccomp: SeccompFilter | undefined): void {
  if (seccomp === undefined) return;
  plan.op(Op.SECCOMP, say('unable to init seccomp: error loading seccomp filter into kernel'), (fields) =>
    fields.u32(seccomp.flags).bytes(seccomp.program),
  );
}

function planScheduling(plan: Plan, process: Process): void {
  const { scheduler, ioPriority } = process;
  if (scheduler !== undefined) {
    const policy = schedulerPolicies[scheduler.policy];
    if (policy === undefined)
      throw new RuntimeError('InvalidArgument', `invalid scheduler policy: ${scheduler.policy}`);
    let flags = 0;
    for (const name of scheduler.flags ?? []) {
      const flag = schedulerFlags[name];
      if (flag === undefined) throw new RuntimeError('InvalidArgument', `invalid scheduler flag: ${name}`);
      flags |= flag;
    }
    plan.op(Op.SCHEDULER, say('error setting scheduler'), (fields) =>
      fields
        .u32(policy)
        .u32(scheduler.nice ?? 0)
        .u32(scheduler.priority ?? 0)
        .u64(flags)
        .u64(scheduler.runtime ?? 0)
        .u64(scheduler.deadline ?? 0)
        .u64(scheduler.period ?? 0),
    );
  }
  if (ioPriority !== undefined) {
    const number = ioPriorityClasses[ioPriority.class];
    if (number === undefined)
      throw new RuntimeError('InvalidArgument', `invalid io priority class: ${ioPriority.class}`);
    plan.op(Op.IO_PRIORITY, say('failed to set io priority'), (fields) =>
      fields.u32((number << 13) | ioPriority.priority),
    );
  }
}
