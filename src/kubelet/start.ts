/** Starts a kubelet: wires the runtime's client, the API's, and everything between, top to bottom. */
import { createCriClient } from '#cri-client/client.ts';
import type { NodeFiles } from '#host/node-files.ts';
import type { Reach } from '#host/reachability.ts';
import type { KubeClient } from '#kube-client/client.ts';
import { createEventRecorder } from '#kube-client/event-recorder.ts';
import { createInformerFactory } from '#kube-client/informer-factory.ts';
import type { Channel } from '#rpc/call.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import type { HttpHandler } from '#transport/http.ts';
import { listen } from '#transport/listen.ts';
import { RpcError } from '#wire/grpc/status.ts';
import { Backoff } from './backoff.ts';
import { ContainerRunner } from './container-runner.ts';
import { CriPods } from './cri-pods.ts';
import { Garbage } from './garbage.ts';
import { ImageManager } from './image-manager.ts';
import { Kubelet, reference } from './kubelet.ts';
import { LifecycleHooks } from './lifecycle-hooks.ts';
import { NodeObjects, type Service, services } from './node-objects.ts';
import { type NodeConfig, NodeStatus } from './node-status.ts';
import { type Container, type Pod, qosClass } from './pod.ts';
import { PodResources, type VolumeMounter } from './pod-resources.ts';
import { createProbeRunner } from './probe-runner.ts';
import { Prober } from './prober.ts';
import { type DnsSettings, podDns, withinDnsLimits } from './resolv-conf.ts';
import { kubeletHandler } from './server.ts';
import { withAccess } from './server-access.ts';
import { pods, StatusManager } from './status-manager.ts';
import { TerminationMessages } from './termination-messages.ts';

export interface KubeletConfig extends NodeConfig {
  /** `/var/lib/kubelet`: volumes of pods. Absolute. */
  readonly rootDir: string;
  /** `/var/log/pods`. Absolute. */
  readonly logDir: string;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** What the node itself resolves names with. */
  readonly hostDns: DnsSettings;
  /** Cgroup above all pods: `/kubepods`. */
  readonly cgroupRoot: string;
  /** Serves the API on a port, too, for those whom the apiserver allows. Without it only this process reaches it, by `handler`. */
  readonly server?: {
    /** An address of this node; on `port` of the node. */
    readonly host: string;
    /** PEM: the server's own, and the authority of its clients. */
    readonly certificate: string;
    readonly key: string;
    readonly clientCa: string;
  };
}

export interface KubeletStartDeps {
  readonly clock: Clock;
  readonly prng: Prng;
  /** CRI v1. */
  readonly cri: Channel;
  /** As `system:node:NAME`. */
  readonly client: KubeClient;
  readonly mounter: VolumeMounter;
  /** Where volumes are, and the logs that the runtime writes. */
  readonly files: NodeFiles;
  /** How probes and hooks reach pods. */
  readonly reach: Reach;
  /** Takes away the cgroup that a removed pod's containers were in. It may be gone, and may still be in use. */
  readonly removePodCgroup: (path: string) => void;
  readonly log: (message: string, error?: unknown) => void;
}

export interface RunningKubelet extends AsyncDisposable {
  /** The API, for callers in this process: they are not asked who they are. */
  readonly handler: HttpHandler;
  /** The port the API is served on; undefined without `server`. */
  readonly port: number | undefined;
  /** Settles when the node is registered. */
  readonly registered: Promise<void>;
}

export async function startKubelet({
  config,
  deps,
}: {
  readonly config: KubeletConfig;
  readonly deps: KubeletStartDeps;
}): Promise<RunningKubelet> {
  const scope = new Scope();
  const { clock, prng, client, log } = deps;
  const cri = createCriClient(deps.cri);
  const informers = scope.use(createInformerFactory({ client, clock, prng, log }));
  const recorder = scope.use(createEventRecorder({ client, clock, component: 'kubelet', host: config.nodeName, log }));
  const runtimePods = new CriPods(cri.runtime);
  const objects = new NodeObjects(scope, {
    client,
    clock,
    prng,
    services: informers.informer<Service>(services),
    onChange: (uid) => kubelet.poke(uid),
    log,
  });

  const node = new NodeStatus(config, {
    client,
    clock,
    problem: () => runtimeProblem(cri),
    runtimeVersion: async () => {
      const { runtimeName, runtimeVersion } = await cri.runtime.version({ version: 'v1' });
      return `${runtimeName}://${runtimeVersion}`;
    },
    log,
  });
  const resources = new PodResources({
    clock,
    objects,
    mounter: deps.mounter,
    files: deps.files,
    root: config.rootDir,
    hostIp: config.nodeIp,
    allocatable: node.allocatable,
    clusterDomain: config.clusterDomain,
  });
  const event = (
    pod: Pod,
    container: Container | undefined,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ) =>
    recorder.event(
      {
        ...reference(pod),
        ...(container && { fieldPath: fieldPathOf(pod, container) }),
      },
      type,
      reason,
      message,
    );
  const prober: Prober = new Prober(scope, {
    clock,
    prng,
    run: createProbeRunner(cri.runtime, deps.reach),
    onChange: (uid) => kubelet.poke(uid),
    onFailure: (pod, container, kind, message) =>
      event(
        pod,
        container,
        'Warning',
        'Unhealthy',
        `${kind[0]!.toUpperCase()}${kind.slice(1)} probe failed: ${message}`,
      ),
  });
  const runner = new ContainerRunner({
    clock,
    runtime: cri.runtime,
    images: cri.images,
    imageManager: new ImageManager({
      images: cri.images,
      backoff: new Backoff(clock),
      monotonicMs: () => clock.monotonicMs(),
      pullSecrets: ({ metadata, spec }) =>
        objects.secrets(
          metadata.namespace,
          new Set((spec.imagePullSecrets ?? []).flatMap(({ name }) => (name ? [name] : []))),
        ),
      event,
    }),
    crashBackoff: new Backoff(clock),
    prober,
    hooks: new LifecycleHooks(cri.runtime, deps.reach, clock),
    resources,
    sandboxInputs(pod, attempt) {
      const { clusterDns, clusterDomain, hostDns } = config;
      const { dns, warnings } = withinDnsLimits(podDns(pod, { clusterDns, clusterDomain, host: hostDns }));
      const cgroupParent = cgroupParentOf(config.cgroupRoot, pod);
      return { attempt, dns, dnsWarnings: warnings, logRoot: config.logDir, cgroupParent };
    },
    removePodCgroup: (pod) => deps.removePodCgroup(cgroupParentOf(config.cgroupRoot, pod)),
    event,
    nodeMemoryBytes: BigInt(config.machine.memoryBytes),
  });
  const status = new StatusManager(scope, { client, clock, log });
  const kubelet: Kubelet = new Kubelet(scope, {
    clock,
    cri,
    pods: informers.informer<Pod>(pods, { fieldSelector: `spec.nodeName=${config.nodeName}` }),
    runtimePods,
    runner,
    prober,
    status,
    objects,
    messages: new TerminationMessages(deps.files, (uid, container, restartCount) =>
      resources.terminationMessagePath(uid, container, restartCount),
    ),
    garbage: new Garbage({ runtime: cri.runtime, files: deps.files, resources, logRoot: config.logDir }),
    recorder,
    hostIp: config.nodeIp,
    allocatable: () => node.allocatable,
    log,
  });

  const handler = kubeletHandler({
    files: deps.files,
    cri,
    runtimePods,
    find: (namespace, name) => kubelet.find(namespace, name),
    list: () => kubelet.list(),
    nodeName: config.nodeName,
    waitingReason: (pod, container) => runner.waitingReason(pod, container),
    now: () => clock.now(),
    log,
  });
  let port: number | undefined;
  if (config.server !== undefined) {
    const { host, ...tls } = config.server;
    const access = { client, clock, nodeName: config.nodeName, log };
    const listening = listen({ address: { host, port: config.port }, tls, handler: withAccess(handler, access) });
    try {
      ({ port } = scope.use(await listening));
    } catch (error) {
      await scope[Symbol.asyncDispose]();
      throw error;
    }
  }
  const registered = node.register(scope.signal);
  registered.catch(() => {});
  scope.run(
    async (signal) => {
      await registered;
      kubelet.start();
      await Promise.all([node.run(signal), node.renewLease(signal)]);
    },
    (error) => log('kubelet', error),
  );
  return {
    handler,
    port,
    registered,
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

async function runtimeProblem(cri: ReturnType<typeof createCriClient>): Promise<string | undefined> {
  try {
    const { status } = await cri.runtime.status({ verbose: false });
    for (const { type, status: good, reason, message } of status?.conditions ?? [])
      if (!good && (type === 'RuntimeReady' || type === 'NetworkReady'))
        return type === 'NetworkReady'
          ? `container runtime network not ready: NetworkReady=false reason:${reason} message:${message}`
          : `container runtime not ready: RuntimeReady=false reason:${reason} message:${message}`;
    return undefined;
  } catch (error) {
    return `container runtime is down: ${RpcError.from(error).message}`;
  }
}

/** `spec.containers{name}`, as events point into a pod. */
function fieldPathOf(pod: Pod, { name }: Container): string {
  const init = pod.spec.initContainers?.some((container) => container.name === name) ?? false;
  return `spec.${init ? 'initContainers' : 'containers'}{${name}}`;
}

function cgroupParentOf(root: string, pod: Pod): string {
  const qos = qosClass(pod);
  const folder = qos === 'Guaranteed' ? '' : `/${qos.toLowerCase()}`;
  return `${root}${folder}/pod${pod.metadata.uid}`;
}
