/**
 * What a scheduler plugin is: a name and the extension points it takes part in. Filters and scores are synchronous and pure: they see a
 * pod and a node's sums, nothing else. Upstream's extension points under upstream's names.
 */
import type { Node, Pod } from '#kube-client/types/core.ts';
import type { Labels } from '#kube-machinery/label-selector.ts';
import type { NodeInfo, PodInfo } from './node-info.ts';

/** Why a pod does not fit. Unresolvable: not even by taking other pods away. */
export interface Rejection {
  readonly reasons: readonly string[];
  readonly unresolvable: boolean;
}

export function reject(...reasons: readonly string[]): Rejection {
  return { reasons, unresolvable: false };
}

export function rejectForGood(...reasons: readonly string[]): Rejection {
  return { reasons, unresolvable: true };
}

/** What changed in the cluster, for plugins to say whether it may help the pods they rejected. */
export type ClusterChange =
  | { readonly kind: 'NodeAdded'; readonly node: Node }
  | { readonly kind: 'NodeUpdated'; readonly before: Node; readonly after: Node }
  | { readonly kind: 'AssignedPodAdded'; readonly pod: Pod }
  | { readonly kind: 'AssignedPodDeleted'; readonly pod: Pod };

export interface Plugin {
  readonly name: string;
  /** Keeps a pod out of the queue. */
  preEnqueue?(pod: Pod): Rejection | undefined;
  less?(a: QueuedOrder, b: QueuedOrder): boolean;
  /** Once a pod: false when the plugin has nothing to say about it; its `filter` is then skipped. */
  wantsFilter?(info: PodInfo): boolean;
  filter?(info: PodInfo, node: NodeInfo): Rejection | undefined;
  /** Once a pod: false skips `score`. */
  wantsScore?(info: PodInfo): boolean;
  /** 0 to 100, or any number when `normalize` is there. */
  score?(info: PodInfo, node: NodeInfo, all: ScoreContext): number;
  normalize?(scores: number[]): void;
  /** For plugins that look at all nodes at once: called once a decision instead of `filter` and `score`. Undefined: nothing to say. */
  prepare?(info: PodInfo, nodes: readonly NodeInfo[], all: ScoreContext): Prepared | undefined;
  readonly weight?: number;
  /** May the change make a pod schedulable that this plugin rejected? Without it: any change may. */
  helps?(change: ClusterChange, info: PodInfo): boolean;
  bind?(pod: Pod, node: string): Promise<void>;
}

/** A plugin's share in one decision. */
export interface Prepared {
  filter?(node: NodeInfo): Rejection | undefined;
  /** @param feasible the nodes that passed every filter; @returns a score for each, from 0 to 100 */
  scoreAll?(feasible: readonly NodeInfo[]): number[];
}

export interface QueuedOrder {
  readonly pod: Pod;
  /** When it came into the queue. */
  readonly sinceMs: number;
}

export interface ScoreContext {
  readonly nodesTotal: number;
  /** How many nodes have an image. */
  imageNodes(image: string): number;
  /** Undefined for a namespace that is not known. */
  namespaceLabels(namespace: string): Labels | undefined;
}

export const scoreMax = 100;

/** Stretches scores so that the best has 100; with `reverse` the lowest is the best. */
export function normalizeScores(scores: number[], reverse: boolean): void {
  const highest = Math.max(0, ...scores);
  for (let i = 0; i < scores.length; i++) {
    const share = highest === 0 ? 0 : Math.floor((scores[i]! * scoreMax) / highest);
    scores[i] = reverse ? scoreMax - share : share;
  }
}
