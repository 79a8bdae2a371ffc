/**
 * One scheduling decision: filter the nodes, score those that are left, take the best. Pure but for the die that decides ties; what
 * every node said is kept, so that the decision can be explained.
 */
import { below, type Prng } from '#std/prng.ts';
import type { Plugin, Rejection, ScoreContext } from './framework.ts';
import type { NodeInfo, PodInfo } from './node-info.ts';

export interface NodeRejection extends Rejection {
  readonly node: string;
  readonly plugin: string;
}

export interface NodeScore {
  readonly node: string;
  readonly total: number;
  /** Weighted, by plugin. */
  readonly parts: Readonly<Record<string, number>>;
}

export type Decision =
  | { readonly kind: 'Found'; readonly node: string; readonly scores: readonly NodeScore[]; readonly next: number }
  | { readonly kind: 'Unschedulable'; readonly rejections: readonly NodeRejection[]; readonly nodesTotal: number };

const nodesAlwaysSearched = 100;

/** Large clusters are not searched to the end: 50 % less one per 125 nodes, at least 5 %, never fewer than 100 nodes. */
export function feasibleNodesToFind(nodes: number): number {
  if (nodes < nodesAlwaysSearched) return nodes;
  const percent = Math.max(5, Math.floor(50 - nodes / 125));
  return Math.max(nodesAlwaysSearched, Math.floor((nodes * percent) / 100));
}

/** @param start index of the node to look at first: searches go round, so that all nodes get their share */
export function decide(options: {
  readonly pod: PodInfo;
  readonly nodes: readonly NodeInfo[];
  readonly plugins: readonly Plugin[];
  readonly scoreContext: ScoreContext;
  readonly start: number;
  readonly prng: Prng;
  /** The node as filters are to see it; default as it is. */
  readonly view?: (node: NodeInfo) => NodeInfo;
}): Decision {
  const { pod, nodes, plugins, scoreContext, start, prng, view = (node) => node } = options;
  const prepared = prepare(plugins, pod, nodes, scoreContext);
  const wanted = feasibleNodesToFind(nodes.length);
  const feasible: NodeInfo[] = [];
  const rejections: NodeRejection[] = [];
  let looked = 0;
  for (; looked < nodes.length && feasible.length < wanted; looked++) {
    const node = nodes[(start + looked) % nodes.length]!;
    const rejection = filterNode(prepared, view(node));
    if (rejection === undefined) feasible.push(node);
    else rejections.push(rejection);
  }
  if (feasible.length === 0) return { kind: 'Unschedulable', rejections, nodesTotal: nodes.length };
  const next = (start + looked) % nodes.length;
  const [only] = feasible;
  if (feasible.length === 1) return { kind: 'Found', node: only!.name, scores: [], next };
  const scores = scoreNodes(prepared, feasible);
  return { kind: 'Found', node: best(scores, prng), scores, next };
}

export interface PreparedPlugin {
  readonly plugin: Plugin;
  readonly filter: ((node: NodeInfo) => Rejection | undefined) | undefined;
  readonly scoreAll: ((feasible: readonly NodeInfo[]) => number[]) | undefined;
}

/** The plugins that have something to say about a pod, ready to say it. */
export function prepare(
  plugins: readonly Plugin[],
  pod: PodInfo,
  nodes: readonly NodeInfo[],
  context: ScoreContext,
): PreparedPlugin[] {
  const ready: PreparedPlugin[] = [];
  for (const plugin of plugins) {
    if (plugin.prepare !== undefined) {
      const own = plugin.prepare(pod, nodes, context);
      if (own !== undefined) ready.push({ plugin, filter: own.filter?.bind(own), scoreAll: own.scoreAll?.bind(own) });
      continue;
    }
    const filters = plugin.filter !== undefined && (plugin.wantsFilter?.(pod) ?? true);
    const scores = plugin.score !== undefined && (plugin.wantsScore?.(pod) ?? true);
    if (!filters && !scores) continue;
    ready.push({
      plugin,
      filter: filters ? (node) => plugin.filter!(pod, node) : undefined,
      scoreAll: scores
        ? (feasible) => {
            const all = feasible.map((node) => plugin.score!(pod, node, context));
            plugin.normalize?.(all);
            return all;
          }
        : undefined,
    });
  }
  return ready;
}

/** The first filter that objects. */
export function filterNode(prepared: readonly PreparedPlugin[], node: NodeInfo): NodeRejection | undefined {
  for (const { plugin, filter } of prepared) {
    const rejection = filter?.(node);
    if (rejection !== undefined) return { node: node.name, plugin: plugin.name, ...rejection };
  }
  return undefined;
}

function scoreNodes(prepared: readonly PreparedPlugin[], nodes: readonly NodeInfo[]): NodeScore[] {
  const totals = nodes.map((node) => ({ node: node.name, total: 0, parts: {} as Record<string, number> }));
  for (const { plugin, scoreAll } of prepared) {
    if (scoreAll === undefined) continue;
    const scores = scoreAll(nodes);
    for (const [i, entry] of totals.entries()) {
      const weighted = scores[i]! * (plugin.weight ?? 1);
      entry.total += weighted;
      entry.parts[plugin.name] = weighted;
    }
  }
  return totals;
}

/** The highest; among equals a fair draw. */
function best(scores: readonly NodeScore[], prng: Prng): string {
  let winner = scores[0]!;
  let ties = 1;
  for (const candidate of scores.slice(1)) {
    if (candidate.total > winner.total) {
      winner = candidate;
      ties = 1;
    } else if (candidate.total === winner.total && below(prng, ++ties) === 0) winner = candidate;
  }
  return winner.node;
}

/** Why no node fits, worded as upstream does; also the event's and the condition's message. */
export function fitErrorMessage(
  { rejections, nodesTotal }: Extract<Decision, { kind: 'Unschedulable' }>,
  postFilter: string,
): string {
  if (nodesTotal === 0) return 'no nodes available to schedule pods';
  const filtered = histogram(rejections.flatMap(({ reasons }) => reasons));
  const parts = [filtered, postFilter].filter((part) => part !== '').map((part) => ` ${part}.`);
  return `0/${nodesTotal} nodes are available:${parts.join('')}`;
}

/** `2 Insufficient cpu, 3 Too many pods`: sorted as text. */
export function histogram(reasons: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return Array.from(counts, ([reason, count]) => `${count} ${reason}`)
    .sort()
    .join(', ');
}
