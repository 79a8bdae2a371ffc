/** The runtime specification of a container, from what the CRI asks, what the image says, and where the pod lives. Pure: paths were looked up before. */
import {
  type ContainerConfig,
  NamespaceMode,
  type PodSandboxConfig,
  SecurityProfile_ProfileType as ProfileType,
} from '#api-cri/gen/api.ts';
import type { ImageConfig } from '#api-oci/image-spec.ts';
import type { Device, DeviceRule, Namespace, Seccomp, Spec } from '#api-oci/runtime-spec.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { Sandbox } from '../sandbox-store.ts';
import { containerCapabilities } from './capabilities.ts';
import { containerMounts, type MountSources, rootfsPropagation } from './mounts.ts';
import { containerResources } from './resources.ts';
import { defaultSeccomp } from './seccomp.ts';
import type { ResolvedUser } from './user.ts';

export interface ContainerSpecInput {
  readonly id: string;
  readonly config: ContainerConfig;
  readonly sandbox: Sandbox;
  readonly image: ImageConfig;
  readonly imageName: string;
  readonly user: ResolvedUser;
  readonly podFiles: MountSources['podFiles'];
  readonly cgroupsPath: string;
  /** Paths of the pid namespaces to join. */
  readonly podPidNamespace: string | undefined;
  readonly targetPidNamespace: string | undefined;
  readonly devices: readonly Device[];
  readonly deviceRules: readonly DeviceRule[];
  /** Of a `Localhost` profile, read. */
  readonly localhostSeccomp: Seccomp | undefined;
  readonly machine: MachineFacts;
}

/** What the machine and the daemon's rights allow. */
export interface MachineFacts {
  /** Go's name of the architecture. */
  readonly architecture: string;
  /** Capabilities the daemon holds. */
  readonly capabilities: readonly string[];
  readonly cgroupVersion: 1 | 2;
  /** The daemon's own adjustment, below which it may not go without CAP_SYS_RESOURCE; undefined with it. */
  readonly oomScoreAdjMin: number | undefined;
  /** The kernel filters system calls. */
  readonly seccomp: boolean;
}

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function containerSpec(input: ContainerSpecInput): Spec {
  const { config, sandbox, machine, user } = input;
  const security = config.linux?.securityContext;
  const privileged = security?.privileged ?? false;
  if (privileged && sandbox.config.linux?.securityContext?.privileged !== true)
    throw new RpcError(Code.Unknown, 'no privileged container allowed in sandbox');
  const capabilities = containerCapabilities(
    {
      privileged,
      add: security?.capabilities?.addCapabilities ?? [],
      drop: security?.capabilities?.dropCapabilities ?? [],
      addAmbient: security?.capabilities?.addAmbientCapabilities ?? [],
    },
    machine.capabilities,
  );
  const seccomp = machine.seccomp ? seccompProfile(input, privileged, capabilities.bounding ?? []) : undefined;
  const propagation = rootfsPropagation(config.mounts);
  const ownCgroups = machine.cgroupVersion === 2 && !privileged;
  const resources = config.linux?.resources;
  return {
    ociVersion: '1.2.0',
    process: {
      terminal: config.tty,
      user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
      args: processArgs(config, input.image),
      env: processEnv(config, input.image, sandbox.hostname),
      cwd: config.workingDir || input.image.WorkingDir || '/',
      capabilities,
      noNewPrivileges: security?.noNewPrivs ?? false,
      ...(resources === undefined ? {} : { oomScoreAdj: oomScoreAdj(Number(resources.oomScoreAdj), machine) }),
    },
    root: { path: 'rootfs', readonly: security?.readonlyRootfs ?? false },
    mounts: containerMounts({
      mounts: config.mounts,
      podFiles: input.podFiles,
      privileged,
      readonlyRootfs: security?.readonlyRootfs ?? false,
      cgroupMount: true,
    }),
    annotations: {
      'io.kubernetes.cri.container-type': 'container',
      'io.kubernetes.cri.container-name': config.metadata?.name ?? '',
      'io.kubernetes.cri.image-name': input.imageName,
      'io.kubernetes.cri.sandbox-id': sandbox.id,
      'io.kubernetes.cri.sandbox-name': sandbox.config.metadata?.name ?? '',
      'io.kubernetes.cri.sandbox-namespace': sandbox.config.metadata?.namespace ?? '',
      'io.kubernetes.cri.sandbox-uid': sandbox.config.metadata?.uid ?? '',
    },
    linux: {
      namespaces: [...containerNamespaces(input), ...(ownCgroups ? [{ type: 'cgroup' as const }] : [])],
      devices: input.devices,
      cgroupsPath: input.cgroupsPath,
      resources: { ...containerResources(resources), devices: input.deviceRules },
      ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
      ...(seccomp === undefined ? {} : { seccomp }),
      sysctl: containerSysctls(sandbox.config),
      maskedPaths: privileged ? [] : (security?.maskedPaths ?? []),
      readonlyPaths: privileged ? [] : (security?.readonlyPaths ?? []),
    },
  };
}

/** A command replaces the image's entrypoint and its arguments; arguments alone replace the image's arguments. image-spec, conversion.md */
export function processArgs(config: ContainerConfig, image: ImageConfig): string[] {
  let { command, args }: { command: readonly string[]; args: readonly string[] } = config;
  if (command.length === 0) {
    if (args.length === 0) args = image.Cmd ?? [];
    command = image.Entrypoint ?? [];
  }
  const all = [...command, ...args];
  if (all.length === 0) throw new RpcError(Code.Unknown, 'no command specified');
  return all;
}

/** Of two settings of one name the later counts, in the place of the first. */
export function processEnv(config: ContainerConfig, image: ImageConfig, hostname: string): string[] {
  const values = new Map<string, string>();
  const add = (setting: string) => {
    const equals = setting.indexOf('=');
    values.set(equals < 0 ? setting : setting.slice(0, equals), setting);
  };
  add(defaultPath);
  add(`HOSTNAME=${hostname}`);
  if (config.tty) add('TERM=xterm');
  for (const setting of image.Env ?? []) add(setting);
  for (const { key, value } of config.envs) add(`${key}=${Buffer.from(value).toString()}`);
  return [...values.values()];
}

function containerNamespaces({
  config,
  sandbox,
  podPidNamespace,
  targetPidNamespace,
}: ContainerSpecInput): Namespace[] {
  const options = config.linux?.securityContext?.namespaceOptions;
  const namespaces: Namespace[] = [{ type: 'mount' }];
  const { network, ipc, uts } = sandbox.namespaces;
  if (network !== undefined) namespaces.push({ type: 'network', path: network });
  if (ipc !== undefined) namespaces.push({ type: 'ipc', path: ipc });
  if (uts !== undefined) namespaces.push({ type: 'uts', path: uts });
  switch (options?.pid ?? NamespaceMode.POD) {
    case NamespaceMode.CONTAINER:
      namespaces.push({ type: 'pid' });
      break;
    case NamespaceMode.POD:
      namespaces.push(podPidNamespace === undefined ? { type: 'pid' } : { type: 'pid', path: podPidNamespace });
      break;
    case NamespaceMode.TARGET:
      namespaces.push({ type: 'pid', path: targetPidNamespace! });
      break;
    default: // The node's.
  }
  return namespaces;
}

/** A pod's sysctls, set through each of its containers; and what lets plain users serve low ports and ping, as containerd does. */
function containerSysctls(config: PodSandboxConfig): Record<string, string> {
  const hostNetwork = config.linux?.securityContext?.namespaceOptions?.network === NamespaceMode.NODE;
  return {
    ...(hostNetwork ? {} : { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' }),
    ...Object.fromEntries(config.linux?.sysctls ?? []),
  };
}

function seccompProfile(
  input: ContainerSpecInput,
  privileged: boolean,
  capabilities: readonly string[],
): Seccomp | undefined {
  const profile = input.config.linux?.securityContext?.seccomp;
  if (privileged || profile === undefined) return undefined;
  switch (profile.profileType) {
    case ProfileType.Unconfined:
      return undefined;
    case ProfileType.Localhost:
      return input.localhostSeccomp;
    default:
      return defaultSeccomp(input.machine.architecture, capabilities);
  }
}

function oomScoreAdj(asked: number, { oomScoreAdjMin }: MachineFacts): number {
  return oomScoreAdjMin === undefined ? asked : Math.max(asked, oomScoreAdjMin);
}
