/**
 * The container's root filesystem as operations: mounts in the order of the specification, devices and links, then what is
 * read-only or hidden, then moving into it. Nothing here looks at the machine.
 */

import type { Device, Mount, Spec } from '#api-oci/runtime-spec.ts';
import { noRegister, Op } from '#host-linux/helper/op-codes.ts';
import { type Explain, errnoText, type Plan } from '#host-linux/helper/plan.ts';
import { RuntimeError } from '../error.ts';
import { MountAttr, MS } from './flags.ts';
import { bindAttributes, type ParsedMountOptions, parseMountOptions } from './mount-options.ts';

const Kind = { bind: 1, recursive: 2, noSymlinks: 4, copyUp: 8, idmapRecursive: 16 } as const;

/** Devices that every container has (config-linux.md, "Default Devices"). */
const defaultDevices: readonly Device[] = [
  { path: '/dev/null', type: 'c', major: 1, minor: 3, fileMode: 0o666, uid: 0, gid: 0 },
  { path: '/dev/zero', type: 'c', major: 1, minor: 5, fileMode: 0o666, uid: 0, gid: 0 },
  { path: '/dev/full', type: 'c', major: 1, minor: 7, fileMode: 0o666, uid: 0, gid: 0 },
  { path: '/dev/random', type: 'c', major: 1, minor: 8, fileMode: 0o666, uid: 0, gid: 0 },
  { path: '/dev/urandom', type: 'c', major: 1, minor: 9, fileMode: 0o666, uid: 0, gid: 0 },
  { path: '/dev/tty', type: 'c', major: 5, minor: 0, fileMode: 0o666, uid: 0, gid: 0 },
];

const links: readonly (readonly [target: string, path: string])[] = [
  ['/proc/self/fd', '/dev/fd'],
  ['/proc/self/fd/0', '/dev/stdin'],
  ['/proc/self/fd/1', '/dev/stdout'],
  ['/proc/self/fd/2', '/dev/stderr'],
];

const fileTypeBits: Readonly<Record<string, number>> = { c: 0o020000, u: 0o020000, b: 0o060000, p: 0o010000 };

export interface RootfsInput {
  readonly spec: Spec;
  /** Absolute. */
  readonly rootfs: string;
  readonly bundle: string;
  readonly newUserNamespace: boolean;
  /** Mounts of type `cgroup`, as this machine's hierarchies make them. */
  readonly expandCgroupMount: (mount: Mount) => readonly CgroupMount[];
  /** Operations between the mounts and moving into the root: hooks. */
  readonly beforePivot: (plan: Plan) => void;
  readonly noPivot?: boolean;
}

/** A cgroup mount, made of ordinary ones; `links` are made below its destination. */
export interface CgroupMount {
  readonly mount: Mount;
  readonly links?: readonly (readonly [target: string, path: string])[];
}

export function planRootfs(plan: Plan, input: RootfsInput): void {
  const { spec, rootfs, bundle } = input;
  const rootPropagation = propagationOf(spec.linux?.rootfsPropagation);
  plan.op(
    Op.ROOT,
    (failure) => `error preparing rootfs: ${failure.text}: ${errnoText(failure.errno)}`,
    (fields) => fields.string(rootfs).u64(rootPropagation ?? MS.SLAVE | MS.REC),
  );
  const later: Mount[] = [];
  for (const mount of spec.mounts ?? [])
    for (const part of mount.type === 'cgroup' ? input.expandCgroupMount(mount) : [{ mount } as CgroupMount]) {
      const options = parseMountOptions(part.mount);
      planMount(plan, part.mount, options, bundle, true);
      for (const [target, path] of part.links ?? []) planLink(plan, target, path);
      if (becomesReadOnlyLater(part.mount, options)) later.push(part.mount);
    }
  if (managesDev(spec)) {
    for (const device of devicesOf(spec)) planDevice(plan, device, input.newUserNamespace);
    for (const [target, path] of links) planLink(plan, target, path);
    planLink(plan, 'pts/ptmx', '/dev/ptmx');
  }
  const cwd = spec.process?.cwd;
  // A working folder that the image lacks is made, as upstream does.
  if (cwd !== undefined && cwd !== '/')
    plan.op(Op.MKDIR_IN_ROOT, explainPath('mkdir'), (fields) => fields.string(cwd).u32(0o755), { soft: true });
  input.beforePivot(plan);
  for (const mount of later)
    plan.op(Op.MOUNT_ATTR, explainPath('remount'), (fields) =>
      fields.string(mount.destination).u64(MountAttr.RDONLY).u32(0).u64(0),
    );
  for (const path of spec.linux?.readonlyPaths ?? [])
    plan.op(
      Op.READONLY_PATH,
      (failure) => `can't make ${JSON.stringify(path)} read-only: ${errnoText(failure.errno)}`,
      (fields) => fields.string(path),
    );
  for (const path of spec.linux?.maskedPaths ?? [])
    plan.op(
      Op.MASK,
      (failure) => `can't mask path ${JSON.stringify(path)}: ${errnoText(failure.errno)}`,
      (fields) => fields.string(path),
    );
  if (spec.root?.readonly)
    plan.op(Op.MOUNT_ATTR, explainPath('remount'), (fields) => fields.string('/').u64(MountAttr.RDONLY).u32(0).u64(0));
  plan.op(
    Op.PIVOT,
    (failure) => `pivot_root: ${errnoText(failure.errno)}`,
    (fields) => fields.u32(input.noPivot ? 1 : 0),
  );
  if (rootPropagation !== undefined)
    plan.op(Op.MOUNT_HOST, explainPath('root propagation'), (fields) =>
      fields.string('').string('/').string('').u64(rootPropagation).string(''),
    );
}

function explainPath(what: string): Explain {
  return (failure) => `${what} ${failure.text}: ${errnoText(failure.errno)}`;
}

/** undefined: not asked for. */
function propagationOf(word: string | undefined): bigint | undefined {
  switch (word) {
    case undefined:
    case '':
      return undefined;
    case 'shared':
      return MS.SHARED;
    case 'rshared':
      return MS.SHARED | MS.REC;
    case 'slave':
      return MS.SLAVE;
    case 'rslave':
      return MS.SLAVE | MS.REC;
    case 'private':
      return MS.PRIVATE;
    case 'rprivate':
      return MS.PRIVATE | MS.REC;
    case 'unbindable':
      return MS.UNBINDABLE;
    case 'runbindable':
      return MS.UNBINDABLE | MS.REC;
    default:
      throw new RuntimeError('InvalidArgument', `rootfsPropagation=${word} is not supported`);
  }
}

/** A read-only tmpfs must take the mount points below it first. */
function becomesReadOnlyLater(mount: Mount, options: ParsedMountOptions): boolean {
  return (options.flags & MS.RDONLY) !== 0n && mount.type === 'tmpfs' && (options.flags & MS.BIND) === 0n;
}

function planMount(
  plan: Plan,
  mount: Mount,
  options: ParsedMountOptions,
  bundle: string,
  resolveSource: boolean,
): void {
  const bind = (options.flags & MS.BIND) !== 0n;
  const { set, clear } = bind ? bindAttributes(options) : { set: 0n, clear: 0n };
  let kind = 0;
  if (bind) kind |= Kind.bind | (options.flags & MS.REC ? Kind.recursive : 0);
  if (mount.type === 'proc' || mount.type === 'sysfs') kind |= Kind.noSymlinks;
  if (options.copyUp) kind |= Kind.copyUp;
  if (options.idmap === 'tree') kind |= Kind.idmapRecursive;
  if (options.idmap !== 'no')
    throw new RuntimeError('Unimplemented', `mount ${mount.destination}: idmapped mounts are not supported`);
  const given = mount.source ?? (mount.type === undefined ? 'none' : mount.type);
  const source = bind && resolveSource && !given.startsWith('/') ? `${bundle}/${given}` : given;
  const later = becomesReadOnlyLater(mount, options);
  const type = bind ? 'bind' : mount.type === 'cgroup-v1' ? 'cgroup' : (mount.type ?? '');
  plan.op(
    Op.MOUNT,
    (failure) =>
      `error mounting ${JSON.stringify(given)} to rootfs at ${JSON.stringify(mount.destination)}: ` +
      `${failure.text}: ${errnoText(failure.errno)}`,
    (fields) => {
      fields.string(source).string(mount.destination).string(type);
      fields.u64(bind ? 0n : later ? options.flags & ~MS.RDONLY : options.flags).string(bind ? '' : options.data);
      fields.u32(kind).u64(set).u64(clear).u64(options.recursiveSet).u64(options.recursiveClear);
      fields.u32(noRegister).u32(options.propagations.length);
      for (const propagation of options.propagations) fields.u64(propagation);
    },
  );
}

/** A `/dev` that is bound from elsewhere is that one's owner's business. */
function managesDev(spec: Spec): boolean {
  return !(spec.mounts ?? []).some(
    (mount) => mount.destination.replace(/\/+$/, '') === '/dev' && (parseMountOptions(mount).flags & MS.BIND) !== 0n,
  );
}

function devicesOf(spec: Spec): readonly Device[] {
  const own = spec.linux?.devices ?? [];
  return [...defaultDevices.filter((device) => !own.some((other) => other.path === device.path)), ...own];
}

function planDevice(plan: Plan, device: Device, bind: boolean): void {
  const type = fileTypeBits[device.type];
  if (type === undefined)
    throw new RuntimeError(
      'InvalidArgument',
      `invalid argument: device type ${JSON.stringify(device.type)} of ${device.path}`,
    );
  plan.op(
    Op.DEVICE,
    (failure) => `error creating device nodes: mknod ${device.path}: ${errnoText(failure.errno)}`,
    (fields) =>
      fields
        .string(device.path)
        .u32(type | ((device.fileMode ?? 0o666) & 0o7777))
        .u32(device.major ?? 0)
        .u32(device.minor ?? 0)
        .u32(device.uid ?? 0)
        .u32(device.gid ?? 0)
        .u32(bind ? 1 : 0),
  );
}

function planLink(plan: Plan, target: string, path: string): void {
  plan.op(
    Op.SYMLINK,
    (failure) => `error creating symlink ${target} -> ${path}: ${errnoText(failure.errno)}`,
    (fields) => fields.string(target).string(path),
  );
}
