/**
 * A container's or an exec's whole launch as bytes for the helper: what the supervisor does before, the child's operations, what
 * the supervisor does in between when asked, and how to clean up after a failure. `native/src/supervise.c` carries it out.
 */

import type { IdMapping, Mount, Namespace, NamespaceType, Process, Spec } from '#api-oci/runtime-spec.ts';
import type { CgroupFolders, CgroupManager } from '#host-linux/cgroups/manager.ts';
import { noRegister, Op } from '#host-linux/helper/op-codes.ts';
import { type Explanations, errnoText, FieldWriter, Plan } from '#host-linux/helper/plan.ts';
import { RuntimeError } from '../error.ts';
import type { SeccompFilter } from '../seccomp/compile.ts';
import { CloneFlag, namespaceFile } from './flags.ts';
import { planHooks } from './hooks.ts';
import { planOomScore, planProcess, planRlimits, planStreams, type StreamPlan } from './process.ts';
import { type CgroupMount, planRootfs } from './rootfs.ts';

const pidfdRegister = 10;
const cgroupRegister = 11;
const fifoRegister = 12;
const allCapabilities = (1n << 64n) - 1n;
const capSysResource = 1n << 24n;
const O_PATH = 0x200000;
const O_DIRECTORY = 0x10000;

/** Groups of operations that the supervisor runs when the child asks. */
const Group = { idMappings: 0, hooks: 1, limits: 2 } as const;

export interface LaunchContext {
  readonly cgroups: CgroupManager;
  readonly folders: CgroupFolders;
  /** Capabilities we hold. */
  readonly available: bigint;
  readonly seccomp: SeccompFilter | undefined;
  readonly streams: StreamPlan;
  /** Path of the FIFO that lets the process go; without one its monitor does. */
  readonly fifo?: string;
  readonly preserveFds: number;
  /** A unix socket that the terminal's descriptor is sent to; the supervisor connects to it first. */
  readonly consoleSocket?: { readonly path: string; readonly register: number };
}

export interface CreateInput extends LaunchContext {
  readonly id: string;
  readonly spec: Spec;
  readonly bundle: string;
  readonly rootfs: string;
  readonly noPivot: boolean;
  readonly newKeyring: boolean;
}

export interface ExecInput extends LaunchContext {
  readonly spec: Spec;
  readonly process: Process;
  readonly pid: number;
  readonly pidStartTime: bigint;
}

export interface Launch {
  readonly bytes: Uint8Array;
  readonly explanations: Explanations;
}

export function compileCreate(input: CreateInput): Launch {
  const { spec, cgroups, folders } = input;
  const process = spec.process;
  if (process === undefined) throw new RuntimeError('InvalidArgument', 'process property must not be empty');
  const before = new Plan();
  const { explanations } = before;
  const child = new Plan(explanations);
  const cleanUp = new Plan(explanations);
  const groups = [new Plan(explanations), new Plan(explanations), new Plan(explanations)];
  const namespaces = new Map((spec.linux?.namespaces ?? []).map((entry) => [entry.type, entry]));
  const newUser = namespaces.has('user') && !namespaces.get('user')!.path;
  const inUserNamespace = namespaces.has('user');
  if (!namespaces.has('mount') || namespaces.get('mount')!.path)
    throw new RuntimeError('Unimplemented', 'a container needs a mount namespace of its own');

  cgroups.planCreate(before, folders, spec.linux?.resources ?? {});
  cgroups.planRemove(cleanUp, folders);
  openRegisters(before, input);

  cgroups.planJoin(child, folders);
  planOomScore(child, process);
  let cloneFlags = planNamespaces(before, child, namespaces, spec, groups[Group.idMappings]!);
  if (namespaces.has('network') && !namespaces.get('network')!.path)
    child.op(Op.LOOPBACK, (failure) => `bring up loopback: ${errnoText(failure.errno)}`);
  if (spec.hostname)
    child.op(
      Op.HOSTNAME,
      (failure) => `sethostname: ${errnoText(failure.errno)}`,
      (fields) => fields.string(spec.hostname!),
    );
  if (spec.domainname)
    child.op(
      Op.DOMAINNAME,
      (failure) => `setdomainname: ${errnoText(failure.errno)}`,
      (fields) => fields.string(spec.domainname!),
    );
  const hooks = spec.hooks ?? {};
  planRootfs(child, {
    spec,
    rootfs: input.rootfs,
    bundle: input.bundle,
    newUserNamespace: inUserNamespace,
    noPivot: input.noPivot,
    expandCgroupMount: (mount) => cgroupMounts(mount, input, namespaces.has('cgroup')),
    beforePivot: (plan) => {
      const runtimeHooks = [...(hooks.prestart ?? []), ...(hooks.createRuntime ?? [])];
      if (runtimeHooks.length > 0) {
        planHooks(groups[Group.hooks]!, runtimeHooks, input, 'creating');
        sync(plan, Group.hooks);
      }
      planHooks(plan, hooks.createContainer ?? [], input, 'creating');
      planStreams(plan, input.streams, process);
    },
  });
  for (const [key, value] of Object.entries(spec.linux?.sysctl ?? {}))
    child.op(
      Op.WRITE_PROC,
      (failure) => `write sysctl key ${key}: ${failure.text}: ${errnoText(failure.errno)}`,
      (fields) => fields.string(`sys/${sysctlPath(key)}`).bytes(Buffer.from(value)),
    );
  if (spec.linux?.personality !== undefined)
    child.op(
      Op.PERSONALITY,
      (failure) => `unable to set personality: ${errnoText(failure.errno)}`,
      (fields) => fields.u32(spec.linux!.personality!.domain === 'LINUX32' ? 8 : 0),
    );
  planLimits(child, groups[Group.limits]!, process, inUserNamespace, input.available);
  planProcess(child, {
    process,
    available: inUserNamespace ? allCapabilities : input.available,
    seccomp: input.seccomp,
    setGroups: true,
    keyring: input.newKeyring ? `_ses.${input.id}` : undefined,
    preserveFds: input.preserveFds,
    startRegister: input.fifo === undefined ? noRegister : fifoRegister,
    beforeProgram: (plan) => planHooks(plan, hooks.startContainer ?? [], input, 'created'),
  });
  if (newUser) cloneFlags = 0;
  return { bytes: encode(cloneFlags, input, before, child, cleanUp, groups), explanations };
}

export function compileExec(input: ExecInput): Launch {
  const { spec, process, cgroups, folders } = input;
  const before = new Plan();
  const { explanations } = before;
  const child = new Plan(explanations);
  const limits = new Plan(explanations);
  const types = (spec.linux?.namespaces ?? []).map(({ type }) => type);
  const inUserNamespace = types.includes('user');
  openRegisters(before, input);
  before.op(
    Op.PIDFD,
    () => 'cannot exec in a stopped container',
    (fields) => fields.u32(pidfdRegister).u32(input.pid).u64(input.pidStartTime),
  );
  if (types.includes('pid')) planJoin(before, CloneFlag.pid);
  cgroups.planJoin(child, folders);
  planOomScore(child, process);
  let flags = 0;
  for (const type of types) if (type !== 'pid') flags |= CloneFlag[type];
  planJoin(child, flags);
  if (inUserNamespace) becomeRoot(child);
  planLimits(child, limits, process, inUserNamespace, input.available);
  planStreams(child, input.streams, process);
  planProcess(child, {
    process,
    available: inUserNamespace ? allCapabilities : input.available,
    seccomp: input.seccomp,
    setGroups: true,
    keyring: undefined,
    preserveFds: input.preserveFds,
    startRegister: noRegister,
    beforeProgram: () => {},
  });
  const groups = [new Plan(explanations), new Plan(explanations), limits];
  return { bytes: encode(0, input, before, child, new Plan(explanations), groups), explanations };
}

/** Descriptors that the child needs and that must be opened by their paths on the machine. */
function openRegisters(before: Plan, input: LaunchContext): void {
  const folder = input.cgroups.cloneInto(input.folders);
  if (folder !== undefined) planOpen(before, cgroupRegister, folder, O_PATH | O_DIRECTORY);
  if (input.fifo !== undefined) planOpen(before, fifoRegister, input.fifo, O_PATH);
  const { consoleSocket } = input;
  if (consoleSocket !== undefined)
    before.op(
      Op.CONNECT_UNIX,
      (failure) => `dial unix ${consoleSocket.path}: connect: ${errnoText(failure.errno)}`,
      (fields) => fields.u32(consoleSocket.register).string(consoleSocket.path),
    );
}

function planOpen(plan: Plan, register: number, path: string, flags: number): void {
  plan.op(
    Op.OPEN,
    (failure) => `open ${path}: ${errnoText(failure.errno)}`,
    (fields) => fields.u32(register).string(path).u32(flags),
  );
}

function planJoin(plan: Plan, flags: number): void {
  plan.op(
    Op.SETNS_PIDFD,
    (failure) => `error joining namespaces of the container: ${errnoText(failure.errno)}`,
    (fields) => fields.u32(pidfdRegister).u32(flags),
  );
}

function sync(plan: Plan, group: number): void {
  plan.op(
    Op.SYNC,
    () => 'sync',
    (fields) => fields.u32(group),
  );
}

/** Root of a user namespace, without groups: who we were outside has no number inside. */
function becomeRoot(plan: Plan): void {
  plan.op(
    Op.USER,
    (failure) => `error becoming root in the user namespace: ${failure.text}: ${errnoText(failure.errno)}`,
    (fields) => fields.u32(0).u32(0).u32(0xffff_ffff).u32(1).u32(0),
  );
}

/** Enters and makes namespaces. Returns the flags of the first clone, for a container without a user namespace of its own. */
function planNamespaces(
  before: Plan,
  child: Plan,
  namespaces: ReadonlyMap<NamespaceType, Namespace>,
  spec: Spec,
  idMappings: Plan,
): number {
  const join = (plan: Plan, { type, path }: Namespace) =>
    plan.op(
      Op.SETNS,
      (failure) => `error joining ${namespaceFile[type]} namespace: ${failure.text}: ${errnoText(failure.errno)}`,
      (fields) => fields.string(path!).u32(CloneFlag[type]),
    );
  const user = namespaces.get('user');
  let fresh = 0;
  for (const namespace of namespaces.values())
    if (!namespace.path && namespace.type !== 'user' && namespace.type !== 'cgroup' && namespace.type !== 'time')
      fresh |= CloneFlag[namespace.type];
  // A pid namespace is for children only, so the supervisor joins it.
  if (namespaces.get('pid')?.path) join(before, namespaces.get('pid')!);
  if (user?.path) {
    join(child, user);
    becomeRoot(child);
  }
  for (const namespace of namespaces.values())
    if (namespace.path && namespace.type !== 'user' && namespace.type !== 'pid') join(child, namespace);
  if (user !== undefined && !user.path) {
    unshare(child, CloneFlag.user);
    planIdMappings(idMappings, spec);
    sync(child, Group.idMappings);
    becomeRoot(child);
  }
  if (namespaces.has('cgroup') && !namespaces.get('cgroup')!.path) unshare(child, CloneFlag.cgroup);
  if (namespaces.has('time') && !namespaces.get('time')!.path) {
    unshare(child, CloneFlag.time);
    for (const [clock, { secs = 0, nanosecs = 0 }] of Object.entries(spec.linux?.timeOffsets ?? {}))
      child.op(
        Op.WRITE_PROC,
        (failure) => `failed to update timens offsets: ${errnoText(failure.errno)}`,
        (fields) => fields.string('self/timens_offsets').bytes(Buffer.from(`${clock} ${secs} ${nanosecs}`)),
      );
  }
  if (user !== undefined)
    // Namespaces belong to the user namespace they are made in, so they are made now, by a second clone.
    child.op(
      Op.CLONE,
      (failure) => `error creating namespaces: ${errnoText(failure.errno)}`,
      (fields) => fields.u64(BigInt(fresh >>> 0)),
    );
  return user === undefined ? fresh : 0;
}

function unshare(plan: Plan, flags: number): void {
  plan.op(
    Op.UNSHARE,
    (failure) => `error creating namespaces: unshare ${failure.text}: ${errnoText(failure.errno)}`,
    (fields) => fields.u32(flags),
  );
}

function planIdMappings(plan: Plan, spec: Spec): void {
  const text = (mappings: readonly IdMapping[]) =>
    Buffer.from(mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join(''));
  const write = (file: string, mappings: readonly IdMapping[]) =>
    plan.op(
      Op.WRITE_PID,
      (failure) => `failed to update ${file}: ${errnoText(failure.errno)}`,
      (fields) => fields.string(file).bytes(text(mappings)),
    );
  write('uid_map', spec.linux?.uidMappings ?? []);
  write('gid_map', spec.linux?.gidMappings ?? []);
}

/** In a user namespace limits are not ours to raise, so the supervisor sets them. */
function planLimits(child: Plan, outer: Plan, process: Process, inUserNamespace: boolean, available: bigint): void {
  if ((process.rlimits ?? []).length === 0) return;
  const soft = (available & capSysResource) === 0n;
  if (!inUserNamespace) {
    planRlimits(child, process, soft);
    return;
  }
  planRlimits(outer, process, soft);
  sync(child, Group.limits);
}

function cgroupMounts(mount: Mount, input: CreateInput, ownNamespace: boolean): CgroupMount[] {
  const { mounts, links } = input.cgroups.view(input.folders, mount.destination, mount.options ?? [], ownNamespace);
  return mounts.map((part, index) => ({
    mount: part,
    ...(index === mounts.length - 1 ? { links } : {}),
  }));
}

/** Both spellings of sysctl(8): dots, where a slash stands for a dot in a name, or slashes. */
function sysctlPath(key: string): string {
  const slash = key.indexOf('/');
  const dot = key.indexOf('.');
  if (slash >= 0 && (dot < 0 || slash < dot)) return key;
  return key.replace(/[./]/g, (letter) => (letter === '.' ? '/' : '.'));
}

function encode(
  cloneFlags: number,
  input: LaunchContext,
  before: Plan,
  child: Plan,
  cleanUp: Plan,
  groups: readonly Plan[],
): Uint8Array {
  const fields = new FieldWriter();
  fields.u64(BigInt(cloneFlags >>> 0));
  fields.u32(input.cgroups.cloneInto(input.folders) === undefined ? noRegister : cgroupRegister);
  fields.bytes(before.finish()).bytes(child.finish()).bytes(cleanUp.finish());
  fields.u32(groups.length);
  for (const group of groups) fields.bytes(group.finish());
  return fields.finish();
}
