/** The nodes with the pods on them, as far as the scheduler knows and as far as it has already decided. */

import { keyOf } from '#kube-client/resource-ref.ts';
import type { Node, Pod } from '#kube-client/types/core.ts';
import type { Labels } from '#kube-machinery/label-selector.ts';
import type { ScoreContext } from './framework.ts';
import { NodeInfo, type PodInfo, podInfo } from './node-info.ts';

export class ClusterCache implements ScoreContext {
  readonly #nodes = new Map<string, NodeInfo>();
  /** The same, in order of arrival; made anew when the set changes. */
  #list: readonly NodeInfo[] = [];
  /** Node by pod key. */
  readonly #placed = new Map<string, string>();
  /** Pods on nodes that are not known (yet). */
  readonly #homeless = new Map<string, Map<string, PodInfo>>();
  readonly #imageNodes = new Map<string, number>();
  readonly #namespaces = new Map<string, Labels>();
  readonly #nominated = new Map<string, { readonly info: PodInfo; readonly node: string }>();

  get nodes(): readonly NodeInfo[] {
    return this.#list;
  }

  get nodesTotal(): number {
    return this.#list.length;
  }

  node(name: string): NodeInfo | undefined {
    return this.#nodes.get(name);
  }

  imageNodes(image: string): number {
    return this.#imageNodes.get(image) ?? 0;
  }

  namespaceLabels(namespace: string): Labels | undefined {
    return this.#namespaces.get(namespace);
  }

  setNamespace(name: string, labels: Labels): void {
    this.#namespaces.set(name, labels);
  }

  removeNamespace(name: string): void {
    this.#namespaces.delete(name);
  }

  setNode(node: Node): void {
    const { name } = node.metadata;
    const known = this.#nodes.get(name);
    if (known !== undefined) {
      this.#countImages(known, -1);
      known.node = node;
      this.#countImages(known, 1);
      return;
    }
    const info = new NodeInfo(node);
    for (const pod of this.#homeless.get(name)?.values() ?? []) info.addPod(pod);
    this.#homeless.delete(name);
    this.#nodes.set(name, info);
    this.#countImages(info, 1);
    this.#list = [...this.#nodes.values()];
  }

  removeNode(name: string): void {
    const info = this.#nodes.get(name);
    if (info === undefined) return;
    this.#nodes.delete(name);
    this.#countImages(info, -1);
    // Its pods are still there until somebody deletes them.
    if (info.pods.size > 0) this.#homeless.set(name, new Map(info.pods));
    this.#list = [...this.#nodes.values()];
  }

  /** A pod for which room is being made on a node: others of lower or the same priority must not take it. */
  nominate(info: PodInfo, node: string): void {
    this.#nominated.set(info.key, { info, node });
  }

  forgetNomination(key: string): void {
    this.#nominated.delete(key);
  }

  /** The node as a pod finds it once those have come that go before it. */
  withNominated(node: NodeInfo, info: PodInfo): NodeInfo {
    if (this.#nominated.size === 0) return node;
    let copy: NodeInfo | undefined;
    for (const { info: other, node: name } of this.#nominated.values()) {
      if (name !== node.name || other.key === info.key || node.pods.has(other.key)) continue;
      if ((other.pod.spec.priority ?? 0) < (info.pod.spec.priority ?? 0)) continue;
      copy ??= node.clone();
      copy.addPod(other);
    }
    return copy ?? node;
  }

  /** A pod with a node: seen, or just decided. */
  setPod(pod: Pod): void {
    this.place(podInfo(pod), pod.spec.nodeName!);
  }

  place(info: PodInfo, node: string): void {
    if (this.#placed.get(info.key) !== node) this.removePod(info.key);
    this.#placed.set(info.key, node);
    this.#nominated.delete(info.key);
    const known = this.#nodes.get(node);
    if (known !== undefined) {
      known.addPod(info);
      return;
    }
    let pods = this.#homeless.get(node);
    if (pods === undefined) {
      pods = new Map();
      this.#homeless.set(node, pods);
    }
    pods.set(info.key, info);
  }

  removePod(key: string): void {
    const node = this.#placed.get(key);
    if (node === undefined) return;
    this.#placed.delete(key);
    this.#nodes.get(node)?.removePod(key);
    const pods = this.#homeless.get(node);
    pods?.delete(key);
    if (pods?.size === 0) this.#homeless.delete(node);
  }

  isPlaced(pod: Pod): boolean {
    return this.#placed.has(keyOf(pod));
  }

  #countImages({ images }: NodeInfo, by: number): void {
    for (const image of images.keys()) {
      const count = (this.#imageNodes.get(image) ?? 0) + by;
      if (count === 0) this.#imageNodes.delete(image);
      else this.#imageNodes.set(image, count);
    }
  }
}
