/**
 * What is mounted in a container besides its root: the kernel's file systems, the pod's own files, and what the CRI asks for. A mount the CRI
 * asks for replaces the one of the same place.
 */
import { type Mount as CriMount, MountPropagation } from '#api-cri/gen/api.ts';
import type { Mount } from '#api-oci/runtime-spec.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';

export interface MountSources {
  readonly mounts: readonly CriMount[];
  /** Paths on the host; absent ones are not mounted. */
  readonly podFiles: {
    readonly hosts?: string;
    readonly hostname?: string;
    readonly resolvConf?: string;
    readonly shm: string;
  };
  readonly privileged: boolean;
  readonly readonlyRootfs: boolean;
  /** `/sys/fs/cgroup` can be mounted: the container has a cgroup namespace or cgroups v1. */
  readonly cgroupMount: boolean;
}

export function containerMounts(sources: MountSources): Mount[] {
  const { podFiles, privileged } = sources;
  const asked = new Set(sources.mounts.map(({ containerPath }) => cleanDestination(containerPath)));
  const access = privileged ? 'rw' : 'ro';
  const mounts: Mount[] = [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', access] },
  ];
  if (sources.cgroupMount)
    mounts.push({
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: ['nosuid', 'noexec', 'nodev', 'relatime', access],
    });
  const bind = (destination: string, source: string | undefined, options: readonly string[]) => {
    if (source !== undefined && !asked.has(destination)) mounts.push({ destination, type: 'bind', source, options });
  };
  const fileAccess = sources.readonlyRootfs ? 'ro' : 'rw';
  bind('/etc/hostname', podFiles.hostname, ['rbind', 'rprivate', fileAccess]);
  bind('/etc/hosts', podFiles.hosts, ['rbind', 'rprivate', fileAccess]);
  bind('/etc/resolv.conf', podFiles.resolvConf, ['rbind', 'rprivate', fileAccess]);
  bind('/dev/shm', podFiles.shm, ['rbind', 'rprivate', 'rw']);
  for (const mount of sources.mounts) mounts.push(criMount(mount));
  const replaced = mounts.filter(({ destination, type }) => type === 'bind' || !asked.has(destination));
  // A place inside another comes after it.
  return replaced
    .map((mount, i) => ({ mount, i, depth: mount.destination.split('/').filter(Boolean).length }))
    .sort((a, b) => a.depth - b.depth || a.i - b.i)
    .map(({ mount }) => mount);
}

function criMount(mount: CriMount): Mount {
  if (mount.image !== undefined && mount.image.image !== '')
    throw new RpcError(Code.Unimplemented, `image volume at ${JSON.stringify(mount.containerPath)} is not supported`);
  if (mount.uidMappings.length > 0 || mount.gidMappings.length > 0)
    throw new RpcError(
      Code.Unimplemented,
      `idmap mounts not yet supported, but they were requested for: ${JSON.stringify(mount.hostPath)}`,
    );
  return {
    destination: cleanDestination(mount.containerPath),
    type: 'bind',
    source: mount.hostPath,
    options: ['rbind', propagation(mount), ...access(mount)],
  };
}

function propagation({ propagation }: CriMount): string {
  switch (propagation) {
    case MountPropagation.PROPAGATION_BIDIRECTIONAL:
      return 'rshared';
    case MountPropagation.PROPAGATION_HOST_TO_CONTAINER:
      return 'rslave';
    default:
      return 'rprivate';
  }
}

function access(mount: CriMount): string[] {
  if (!mount.recursiveReadOnly) return [mount.readonly ? 'ro' : 'rw'];
  if (!mount.readonly)
    throw new RpcError(Code.InvalidArgument, 'recursive read-only mount needs to have readonly set to true');
  if (mount.propagation !== MountPropagation.PROPAGATION_PRIVATE)
    throw new RpcError(Code.InvalidArgument, 'recursive read-only mount needs private propagation');
  return ['rro'];
}

/** Absolute, without `.`, `..` and doubled slashes. */
export function cleanDestination(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/'))
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  return `/${parts.join('/')}`;
}

/** What rslave and rshared mounts need of the root's own propagation. */
export function rootfsPropagation(mounts: readonly CriMount[]): string | undefined {
  const asked = new Set(mounts.map(propagation));
  return asked.has('rshared') ? 'rshared' : asked.has('rslave') ? 'rslave' : undefined;
}
