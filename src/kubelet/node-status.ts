/**
 * The node's own object: registered at the start, its conditions kept current, and a lease renewed as a heartbeat. Source: kubelet's
 * nodestatus and KEP-589.
 */
import type { KubeClient } from '#kube-client/client.ts';
import type { ApiObject, ResourceRef } from '#kube-client/resource-ref.ts';
import { StatusError } from '#kube-machinery/status.ts';
import { type Clock, sleep } from '#std/clock.ts';
import { timestamp } from './pod-status.ts';

/** What the machine is; found out by whoever may look. */
export interface Machine {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly ephemeralStorageBytes: number;
  /** Go's name: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  readonly machineId: string;
  readonly systemUuid: string;
  readonly bootId: string;
}

export interface NodeConfig {
  readonly nodeName: string;
  readonly nodeIp: string;
  readonly podsMax: number;
  readonly machine: Machine;
  readonly labels?: Readonly<Record<string, string>>;
  readonly podCidr?: string;
  /** `v1.36.3+wherry.0.1.0`. */
  readonly version: string;
  readonly port: number;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastHeartbeatTime: string;
  readonly lastTransitionTime: string;
}

interface Node extends ApiObject {
  readonly spec?: object;
  readonly status?: { readonly conditions?: readonly Condition[] };
}

interface Lease extends ApiObject {
  readonly spec?: object;
}

const nodes: ResourceRef = { group: '', version: 'v1', resource: 'nodes', kind: 'Node', namespaced: false };
const leases: ResourceRef = {
  group: 'coordination.k8s.io',
  version: 'v1',
  resource: 'leases',
  kind: 'Lease',
  namespaced: true,
};
const leaseNamespace = 'kube-node-lease';
const leaseSeconds = 40;
const renewIntervalMs = 10_000;
const reportIntervalMs = 300_000;
const checkIntervalMs = 10_000;
const retryMs = 200;
const retryMaxMs = 7000;

export interface NodeStatusDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** What keeps pods from running here; undefined: nothing. */
  readonly problem: () => Promise<string | undefined>;
  readonly runtimeVersion: () => Promise<string>;
  readonly log: (message: string, error?: unknown) => void;
}

export class NodeStatus {
  readonly #config: NodeConfig;
  readonly #deps: NodeStatusDeps;
  #reported: { readonly ready: string; readonly atMs: number } | undefined;

  constructor(config: NodeConfig, deps: NodeStatusDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  /** cpu, memory and pods that workloads may have. Nothing is kept back for the system here. */
  get allocatable(): Readonly<Record<string, string>> {
    const { machine, podsMax } = this.#config;
    return {
      cpu: String(machine.cpus),
      'ephemeral-storage': String(Math.floor(machine.ephemeralStorageBytes * 0.9)),
      memory: `${Math.floor(machine.memoryBytes / 1024)}Ki`,
      pods: String(podsMax),
    };
  }

  /** Creates the node, or brings the one that is there up to date; tries until the API answers. */
  async register(signal: AbortSignal): Promise<void> {
    for (let delayMs = retryMs; ; delayMs = Math.min(delayMs * 2, retryMaxMs)) {
      try {
        await this.#register();
        return;
      } catch (error) {
        signal.throwIfAborted();
        this.#deps.log(`registering node ${this.#config.nodeName}`, error);
        await sleep(this.#deps.clock, delayMs, signal);
      }
    }
  }

  /** Keeps conditions and addresses current until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (!signal.aborted) {
      try {
        await this.#report();
      } catch (error) {
        if (signal.aborted) return;
        log(`status of node ${this.#config.nodeName}`, error);
      }
      await new Promise<void>((resolve) => {
        const done = () => {
          timer[Symbol.dispose]();
          signal.removeEventListener('abort', done);
          resolve();
        };
        const timer = clock.after(checkIntervalMs, done);
        // It may have been aborted while the report was under way.
        if (signal.aborted) done();
        else signal.addEventListener('abort', done, { once: true });
      });
    }
  }

  async renewLease(signal: AbortSignal): Promise<void> {
    const { client, clock, log } = this.#deps;
    const { nodeName } = this.#config;
    const resource = client.resource<Lease>(leases, leaseNamespace);
    const spec = () => ({
      holderIdentity: nodeName,
      leaseDurationSeconds: leaseSeconds,
      renewTime: `${new Date(clock.now()).toISOString().slice(0, 23)}000Z`,
    });
    while (!signal.aborted) {
      try {
        try {
          await resource.patch(nodeName, 'merge', { spec: spec() }, { signal });
        } catch (error) {
          if (!(error instanceof StatusError && error.code === 404)) throw error;
          await resource.create({ metadata: { name: nodeName, namespace: leaseNamespace }, spec: spec() }, { signal });
        }
      } catch (error) {
        if (signal.aborted) return;
        log(`lease of node ${nodeName}`, error);
      }
      await sleep(clock, renewIntervalMs, signal).catch(() => {});
    }
  }

  async #register(): Promise<void> {
    const { nodeName, labels = {}, machine, podCidr } = this.#config;
    const resource = this.#deps.client.resource<Node>(nodes);
    const wanted = {
      'beta.kubernetes.io/arch': machine.architecture,
      'beta.kubernetes.io/os': 'linux',
      'kubernetes.io/arch': machine.architecture,
      'kubernetes.io/hostname': nodeName,
      'kubernetes.io/os': 'linux',
      ...labels,
    };
    const spec = podCidr === undefined ? {} : { podCIDR: podCidr, podCIDRs: [podCidr] };
    const status = await this.#status(undefined);
    try {
      await resource.create({
        metadata: {
          name: nodeName,
          labels: wanted,
          annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
        },
        spec,
      });
    } catch (error) {
      if (!(error instanceof StatusError && error.code === 409)) throw error;
      await resource.patch(nodeName, 'merge', { metadata: { labels: wanted } });
    }
    await resource.patch(nodeName, 'strategic', { status }, { subresource: 'status' });
    this.#noteReported(status);
  }

  async #report(): Promise<void> {
    const resource = this.#deps.client.resource<Node>(nodes);
    const problem = await this.#deps.problem();
    const ready = problem ?? '';
    const nowMs = this.#deps.clock.monotonicMs();
    if (this.#reported?.ready === ready && nowMs - this.#reported.atMs < reportIntervalMs) return;
    const current = await resource.get(this.#config.nodeName, { resourceVersion: '0' });
    const status = await this.#status(current.status?.conditions, problem);
    await resource.patch(this.#config.nodeName, 'strategic', { status }, { subresource: 'status' });
    this.#noteReported(status);
  }

  #noteReported({ conditions }: { readonly conditions: readonly Condition[] }): void {
    const ready = conditions.find(({ type }) => type === 'Ready')!;
    this.#reported = {
      ready: ready.status === 'True' ? '' : ready.message,
      atMs: this.#deps.clock.monotonicMs(),
    };
  }

  async #status(before: readonly Condition[] | undefined, known?: string) {
    const { nodeIp, nodeName, machine, podsMax, version, port } = this.#config;
    const problem = known ?? (await this.#deps.problem());
    const now = timestamp(this.#deps.clock.now());
    const condition = (type: string, status: string, reason: string, message: string): Condition => {
      const old = before?.find((entry) => entry.type === type);
      const lastTransitionTime = old?.status === status ? old.lastTransitionTime : now;
      return { type, status, lastHeartbeatTime: now, lastTransitionTime, reason, message };
    };
    return {
      addresses: [
        { type: 'InternalIP', address: nodeIp },
        { type: 'Hostname', address: nodeName },
      ],
      capacity: {
        cpu: String(machine.cpus),
        'ephemeral-storage': `${Math.floor(machine.ephemeralStorageBytes / 1024)}Ki`,
        memory: `${Math.floor(machine.memoryBytes / 1024)}Ki`,
        pods: String(podsMax),
      },
      allocatable: this.allocatable,
      conditions: [
        condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
        condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
        condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
        problem === undefined
          ? condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status')
          : condition('Ready', 'False', 'KubeletNotReady', problem),
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
      nodeInfo: {
        machineID: machine.machineId,
        systemUUID: machine.systemUuid,
        bootID: machine.bootId,
        kernelVersion: machine.kernelVersion,
        osImage: machine.osImage,
        containerRuntimeVersion: await this.#deps.runtimeVersion(),
        kubeletVersion: version,
        kubeProxyVersion: '',
        operatingSystem: 'linux',
        architecture: machine.architecture,
      },
    };
  }
}
