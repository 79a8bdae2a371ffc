/**
 * From a pod and one of its containers to what CRI is asked to create. Pure; image, mounts and environment are handed in.
 * Names, labels, annotations and log paths are upstream's: crictl, log collectors and a kubelet of upstream's read them.
 */
import {
  ContainerConfig,
  ContainerMetadata,
  ImageSpec,
  LinuxContainerConfig,
  LinuxContainerResources,
  LinuxContainerSecurityContext,
  LinuxPodSandboxConfig,
  LinuxSandboxSecurityContext,
  type Mount,
  NamespaceMode,
  type NamespaceOption,
  PodSandboxConfig,
  PodSandboxMetadata,
  PortMapping,
  Protocol,
  SecurityProfile,
  SecurityProfile_ProfileType,
} from '#api-cri/gen/api.ts';
import { expandReferences } from './env.ts';
import { type Container, type Pod, qosClass, type SecurityContext } from './pod.ts';
import type { DnsSettings } from './resolv-conf.ts';
import { milli } from './resource-field-ref.ts';
import { Label } from './runtime-pod.ts';

/** `/var/log/pods` in upstream's layout: one folder a pod, one a container, a file an instance. */
export function podLogFolder(root: string, pod: Pod): string {
  return `${root}/${pod.metadata.namespace}_${pod.metadata.name}_${pod.metadata.uid}`;
}

export function containerLogPath(container: string, restartCount: number): string {
  return `${container}/${restartCount}.log`;
}

export interface SandboxInputs {
  readonly attempt: number;
  readonly dns: DnsSettings;
  /** What had to be left out of it. */
  readonly dnsWarnings: readonly string[];
  readonly logRoot: string;
  readonly cgroupParent: string;
}

export function sandboxConfig(pod: Pod, { attempt, dns, logRoot, cgroupParent }: SandboxInputs): PodSandboxConfig {
  const security = pod.spec.securityContext;
  return PodSandboxConfig.create({
    metadata: PodSandboxMetadata.create({
      name: pod.metadata.name,
      uid: pod.metadata.uid,
      namespace: pod.metadata.namespace,
      attempt,
    }),
    hostname: pod.spec.hostNetwork ? '' : (pod.spec.hostname ?? pod.metadata.name).slice(0, 63),
    logDirectory: podLogFolder(logRoot, pod),
    dnsConfig: { servers: [...dns.servers], searches: [...dns.searches], options: [...dns.options] },
    portMappings: pod.spec.containers.flatMap((container) =>
      (container.ports ?? [])
        .filter(({ hostPort }) => hostPort !== undefined && hostPort > 0 && !pod.spec.hostNetwork)
        .map((port) =>
          PortMapping.create({
            protocol: Protocol[(port.protocol ?? 'TCP') as keyof typeof Protocol],
            containerPort: port.containerPort,
            hostPort: port.hostPort!,
            hostIp: port.hostIP ?? '',
          }),
        ),
    ),
    labels: new Map([
      ...Object.entries(pod.metadata.labels ?? {}),
      [Label.podName, pod.metadata.name],
      [Label.podNamespace, pod.metadata.namespace],
      [Label.podUid, pod.metadata.uid],
    ]),
    annotations: new Map(Object.entries(pod.metadata.annotations ?? {})),
    linux: LinuxPodSandboxConfig.create({
      cgroupParent,
      sysctls: new Map((security?.sysctls ?? []).map(({ name, value }) => [name, value])),
      securityContext: LinuxSandboxSecurityContext.create({
        namespaceOptions: namespaces(pod),
        ...(security?.runAsUser !== undefined && { runAsUser: { value: BigInt(security.runAsUser) } }),
        ...(security?.runAsGroup !== undefined && { runAsGroup: { value: BigInt(security.runAsGroup) } }),
        supplementalGroups: supplementalGroups(pod),
        privileged: [...(pod.spec.initContainers ?? []), ...pod.spec.containers].some(
          ({ securityContext }) => securityContext?.privileged,
        ),
        seccomp: seccomp(security?.seccompProfile ?? { type: 'RuntimeDefault' }),
      }),
    }),
  });
}

export interface ContainerInputs {
  readonly restartCount: number;
  readonly imageReference: string;
  readonly env: readonly { readonly key: string; readonly value: string }[];
  readonly mounts: readonly Mount[];
  /** Bytes of memory of the node, for the OOM score. */
  readonly nodeMemoryBytes: bigint;
}

export function containerConfig(pod: Pod, container: Container, inputs: ContainerInputs): ContainerConfig {
  const env = new Map(inputs.env.map(({ key, value }) => [key, value]));
  const expand = (text: string) => expandReferences(text, (name) => env.get(name));
  return ContainerConfig.create({
    metadata: ContainerMetadata.create({ name: container.name, attempt: inputs.restartCount }),
    image: ImageSpec.create({ image: inputs.imageReference, userSpecifiedImage: container.image ?? '' }),
    command: (container.command ?? []).map(expand),
    args: (container.args ?? []).map(expand),
    workingDir: container.workingDir ?? '',
    envs: inputs.env.map(({ key, value }) => ({ key, value: Buffer.from(value) })),
    mounts: [...inputs.mounts],
    labels: new Map([
      [Label.podName, pod.metadata.name],
      [Label.podNamespace, pod.metadata.namespace],
      [Label.podUid, pod.metadata.uid],
      [Label.containerName, container.name],
    ]),
    annotations: new Map([
      ['io.kubernetes.container.restartCount', String(inputs.restartCount)],
      ['io.kubernetes.container.terminationMessagePath', container.terminationMessagePath ?? '/dev/termination-log'],
      ['io.kubernetes.container.terminationMessagePolicy', container.terminationMessagePolicy ?? 'File'],
      ['io.kubernetes.pod.terminationGracePeriod', String(pod.spec.terminationGracePeriodSeconds ?? 30)],
    ]),
    logPath: containerLogPath(container.name, inputs.restartCount),
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    tty: container.tty ?? false,
    linux: LinuxContainerConfig.create({
      resources: containerResources(pod, container, inputs.nodeMemoryBytes),
      securityContext: containerSecurity(pod, container),
    }),
  });
}

const quotaPeriodMicros = 100_000n;
const quotaMicrosMin = 1000n;

/** cgroup amounts of a container. Shares: 1024 a CPU, at least 2; quota in microseconds of a 100 ms period. */
export function containerResources(pod: Pod, container: Container, nodeMemoryBytes: bigint): LinuxContainerResources {
  const { limits = {}, requests = {} } = container.resources ?? {};
  const cpuRequest = milliOf(requests['cpu'] ?? limits['cpu']);
  const cpuLimit = milliOf(limits['cpu']);
  const memoryLimit = limits['memory'] === undefined ? 0n : milli(limits['memory']) / 1000n;
  const shares = cpuRequest === 0n ? 2n : max(2n, (cpuRequest * 1024n) / 1000n);
  return LinuxContainerResources.create({
    cpuPeriod: cpuLimit === 0n ? 0n : quotaPeriodMicros,
    cpuQuota: cpuLimit === 0n ? 0n : max(quotaMicrosMin, (cpuLimit * quotaPeriodMicros) / 1000n),
    cpuShares: shares,
    memoryLimitInBytes: memoryLimit,
    oomScoreAdj: BigInt(oomScore(pod, requests['memory'], nodeMemoryBytes)),
  });
}

/** Upstream's scores: guaranteed pods go last, best effort first. */
function oomScore(pod: Pod, memoryRequest: string | undefined, nodeMemoryBytes: bigint): number {
  switch (qosClass(pod)) {
    case 'Guaranteed':
      return -997;
    case 'BestEffort':
      return 1000;
    case 'Burstable': {
      const request = memoryRequest === undefined ? 0n : milli(memoryRequest) / 1000n;
      const score = 1000 - (nodeMemoryBytes === 0n ? 0 : Number((1000n * request) / nodeMemoryBytes));
      return Math.min(999, Math.max(3, score));
    }
  }
}

function containerSecurity(pod: Pod, container: Container): LinuxContainerSecurityContext {
  const own: SecurityContext = container.securityContext ?? {};
  const shared = pod.spec.securityContext;
  const user = own.runAsUser ?? shared?.runAsUser;
  const group = own.runAsGroup ?? shared?.runAsGroup;
  return LinuxContainerSecurityContext.create({
    capabilities: {
      addCapabilities: [...(own.capabilities?.add ?? [])],
      dropCapabilities: [...(own.capabilities?.drop ?? [])],
      addAmbientCapabilities: [],
    },
    privileged: own.privileged ?? false,
    namespaceOptions: namespaces(pod),
    ...(user !== undefined && { runAsUser: { value: BigInt(user) } }),
    ...(group !== undefined && { runAsGroup: { value: BigInt(group) } }),
    readonlyRootfs: own.readOnlyRootFilesystem ?? false,
    supplementalGroups: supplementalGroups(pod),
    noNewPrivs: own.allowPrivilegeEscalation === false,
    maskedPaths: own.privileged ? [] : maskedPaths,
    readonlyPaths: own.privileged ? [] : readonlyPaths,
    seccomp: seccomp(own.seccompProfile ?? shared?.seccompProfile ?? { type: 'Unconfined' }),
  });
}

/** What /proc and /sys hide from containers by default. */
const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

function namespaces(pod: Pod): NamespaceOption {
  const mode = (host: boolean | undefined) => (host ? NamespaceMode.NODE : NamespaceMode.POD);
  return {
    network: mode(pod.spec.hostNetwork),
    pid: pod.spec.hostPID
      ? NamespaceMode.NODE
      : pod.spec.shareProcessNamespace
        ? NamespaceMode.POD
        : NamespaceMode.CONTAINER,
    ipc: mode(pod.spec.hostIPC),
    targetId: '',
    usernsOptions: undefined,
  };
}

function supplementalGroups(pod: Pod): bigint[] {
  const security = pod.spec.securityContext;
  const groups = (security?.supplementalGroups ?? []).map(BigInt);
  return security?.fsGroup === undefined ? groups : [BigInt(security.fsGroup), ...groups];
}

function seccomp(profile: { readonly type: string; readonly localhostProfile?: string }): SecurityProfile {
  return SecurityProfile.create({
    profileType: SecurityProfile_ProfileType[profile.type as keyof typeof SecurityProfile_ProfileType],
    localhostRef: profile.localhostProfile ?? '',
  });
}

function milliOf(quantity: string | undefined): bigint {
  return quantity === undefined ? 0n : milli(quantity);
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
