/** A node as the scheduler counts it: what it has, what the pods on it ask for, the ports they hold. Pure. */

import { keyOf } from '#kube-client/resource-ref.ts';
import type { ContainerPort, Node, Pod, ResourceList } from '#kube-client/types/core.ts';
import { parseQuantity } from '#kube-machinery/quantity.ts';
import { affinityTerms, type PodAffinityTerms } from './pod-affinity.ts';

/** CPU in thousandths, everything else in units (bytes, devices). */
export type Amounts = ReadonlyMap<string, number>;

/** A pod with its sums, computed once. */
export interface PodInfo {
  readonly key: string;
  readonly pod: Pod;
  readonly requests: Amounts;
  /** As `requests`, but a container that asks for nothing counts with a little: spreading needs a measure. */
  readonly nonZero: { readonly cpu: number; readonly memory: number };
  readonly hostPorts: readonly ContainerPort[];
  readonly affinity: PodAffinityTerms | undefined;
}

/** What a container that states no request counts with when nodes are compared. */
const cpuMilliDefault = 100;
const memoryBytesDefault = 200 * 1024 * 1024;

export function podInfo(pod: Pod): PodInfo {
  const { containers, hostNetwork } = pod.spec;
  const ports = [...containers, ...sidecars(pod)].flatMap(({ ports = [] }) => ports);
  return {
    key: keyOf(pod),
    pod,
    affinity: affinityTerms(pod),
    requests: podRequests(pod, (list) => amountsOf(list)),
    nonZero: (() => {
      const sums = podRequests(pod, (list) => {
        const amounts = new Map(amountsOf(list));
        if (!amounts.has('cpu')) amounts.set('cpu', cpuMilliDefault);
        if (!amounts.has('memory')) amounts.set('memory', memoryBytesDefault);
        return amounts;
      });
      return { cpu: sums.get('cpu') ?? 0, memory: sums.get('memory') ?? 0 };
    })(),
    hostPorts: ports
      .map((port) => (hostNetwork && !port.hostPort ? { ...port, hostPort: port.containerPort } : port))
      .filter(({ hostPort }) => hostPort !== undefined && hostPort > 0),
  };
}

/** Init containers with `restartPolicy: Always` run beside the others. */
function sidecars({ spec }: Pod) {
  return (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
}

/** The largest that runs at one time: all containers and sidecars, or an init container beside the sidecars before it. */
function podRequests(pod: Pod, of: (list: ResourceList | undefined) => Amounts): Map<string, number> {
  const { containers, initContainers = [], overhead } = pod.spec;
  const total = new Map<string, number>();
  for (const { resources } of containers) add(total, of(resources?.requests));
  const running = new Map<string, number>();
  const peak = new Map<string, number>();
  for (const { resources, restartPolicy } of initContainers) {
    const requests = of(resources?.requests);
    if (restartPolicy === 'Always') {
      add(total, requests);
      add(running, requests);
      raise(peak, running);
    } else {
      const now = new Map(running);
      add(now, requests);
      raise(peak, now);
    }
  }
  raise(total, peak);
  add(total, amountsOf(overhead));
  return total;
}

export function amountsOf(list: ResourceList | undefined): Amounts {
  const amounts = new Map<string, number>();
  for (const [name, text] of Object.entries(list ?? {}))
    amounts.set(name, Number(parseQuantity(String(text)).scaled(name === 'cpu' ? -3 : 0)));
  return amounts;
}

function add(total: Map<string, number>, more: Amounts, sign = 1): void {
  for (const [name, amount] of more) total.set(name, (total.get(name) ?? 0) + sign * amount);
}

function raise(total: Map<string, number>, other: Amounts): void {
  for (const [name, amount] of other) if (amount > (total.get(name) ?? 0)) total.set(name, amount);
}

export class NodeInfo {
  #node: Node;
  #allocatable: Amounts;
  #images: ReadonlyMap<string, number>;
  readonly pods = new Map<string, PodInfo>();
  /** Those of them that care about other pods: they are asked at every decision. */
  readonly podsWithAffinity = new Map<string, PodInfo>();
  readonly requested = new Map<string, number>();
  readonly nonZero = { cpu: 0, memory: 0 };

  constructor(node: Node) {
    this.#node = node;
    this.#allocatable = amountsOf(node.status?.allocatable);
    this.#images = imagesOf(node);
  }

  get node(): Node {
    return this.#node;
  }

  set node(node: Node) {
    this.#node = node;
    this.#allocatable = amountsOf(node.status?.allocatable);
    this.#images = imagesOf(node);
  }

  get name(): string {
    return this.#node.metadata.name;
  }

  get allocatable(): Amounts {
    return this.#allocatable;
  }

  /** Bytes by image name. */
  get images(): ReadonlyMap<string, number> {
    return this.#images;
  }

  /** The same node with the same pods, to try things out on. */
  clone(): NodeInfo {
    const copy = new NodeInfo(this.#node);
    for (const info of this.pods.values()) copy.addPod(info);
    return copy;
  }

  addPod(info: PodInfo): void {
    this.removePod(info.key);
    this.pods.set(info.key, info);
    if (info.affinity !== undefined) this.podsWithAffinity.set(info.key, info);
    add(this.requested, info.requests);
    this.nonZero.cpu += info.nonZero.cpu;
    this.nonZero.memory += info.nonZero.memory;
  }

  removePod(key: string): void {
    const info = this.pods.get(key);
    if (info === undefined) return;
    this.pods.delete(key);
    this.podsWithAffinity.delete(key);
    add(this.requested, info.requests, -1);
    this.nonZero.cpu -= info.nonZero.cpu;
    this.nonZero.memory -= info.nonZero.memory;
  }
}

function imagesOf({ status }: Node): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const { names = [], sizeBytes = 0 } of status?.images ?? [])
    for (const name of names) sizes.set(name, sizeBytes);
  return sizes;
}
