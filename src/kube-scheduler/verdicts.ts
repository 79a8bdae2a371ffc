/** What the scheduler decided about the latest pods and why, for whoever asks. Bounded; the oldest go first. */
import type { NodeRejection, NodeScore } from './schedule.ts';

export type Verdict = {
  /** `namespace/name`. */
  readonly pod: string;
  readonly uid: string;
  /** Wall time, milliseconds. */
  readonly atMs: number;
  readonly attempts: number;
} & (
  | { readonly kind: 'Scheduled'; readonly node: string; readonly scores: readonly NodeScore[] }
  | {
      readonly kind: 'Unschedulable';
      readonly message: string;
      readonly nodesTotal: number;
      readonly rejections: readonly NodeRejection[];
    }
  | { readonly kind: 'Error'; readonly message: string }
);

export const verdictsMax = 5000;
/** Nodes of one verdict that are kept. */
export const nodesKeptMax = 100;

export class Verdicts {
  readonly #byPod = new Map<string, Verdict>();

  get(pod: string): Verdict | undefined {
    return this.#byPod.get(pod);
  }

  add(verdict: Verdict): void {
    this.#byPod.delete(verdict.pod);
    this.#byPod.set(verdict.pod, trimmed(verdict));
    if (this.#byPod.size > verdictsMax) this.#byPod.delete(this.#byPod.keys().next().value!);
  }
}

function trimmed(verdict: Verdict): Verdict {
  switch (verdict.kind) {
    case 'Scheduled':
      return { ...verdict, scores: [...verdict.scores].sort((a, b) => b.total - a.total).slice(0, nodesKeptMax) };
    case 'Unschedulable':
      return { ...verdict, rejections: verdict.rejections.slice(0, nodesKeptMax) };
    case 'Error':
      return verdict;
  }
}
