/**
 * Pods that wait for a node: ready ones in order of priority, ones that back off, and ones that no node fits until something changes.
 * A pod is in one of them at a time. Must not know nodes.
 */
import { keyOf } from '#kube-client/resource-ref.ts';
import type { Pod } from '#kube-client/types/core.ts';
import type { Clock, Timer } from '#std/clock.ts';
import type { ClusterChange, Plugin } from './framework.ts';
import { type PodInfo, podInfo } from './node-info.ts';

export interface QueuedPod {
  info: PodInfo;
  readonly sinceMs: number;
  attempts: number;
  /** The plugins that rejected it last; empty after an error. */
  rejectedBy: ReadonlySet<string>;
  backoffUntilMs: number;
}

type Place = 'active' | 'backoff' | 'unschedulable' | 'gated';

interface Entry {
  readonly queued: QueuedPod;
  place: Place;
  timer: Timer | undefined;
}

export const backoffInitialMs = 1000;
export const backoffMaxMs = 10_000;
/** However little happens, a pod is tried again after this long. */
export const unschedulableMaxMs = 300_000;

export class SchedulingQueue implements Disposable {
  readonly #clock: Clock;
  readonly #plugins: ReadonlyMap<string, Plugin>;
  readonly #gates: readonly Plugin[];
  readonly #less: NonNullable<Plugin['less']>;
  readonly #onReady: () => void;
  readonly #entries = new Map<string, Entry>();
  /** A binary heap; entries that left lie in it until they come to the top. */
  readonly #heap: Entry[] = [];
  #active = 0;

  /** @param onReady called whenever a pod becomes ready */
  constructor(clock: Clock, plugins: readonly Plugin[], onReady: () => void) {
    this.#clock = clock;
    this.#plugins = new Map(plugins.map((plugin) => [plugin.name, plugin]));
    this.#gates = plugins.filter(({ preEnqueue }) => preEnqueue !== undefined);
    this.#less = plugins.find(({ less }) => less !== undefined)!.less!;
    this.#onReady = onReady;
  }

  /** How many wait where. */
  get counts(): Readonly<Record<Place, number>> {
    const counts = { active: 0, backoff: 0, unschedulable: 0, gated: 0 };
    for (const { place } of this.#entries.values()) counts[place]++;
    return counts;
  }

  /** A new pod, or a new state of one that waits. A pod whose own change may help is tried again. */
  put(pod: Pod): void {
    const info = podInfo(pod);
    const entry = this.#entries.get(info.key);
    if (entry !== undefined && entry.queued.info.pod.metadata.uid === pod.metadata.uid) {
      entry.queued.info = info;
      if (entry.place === 'gated') this.#place(entry, this.#gated(pod) ? 'gated' : 'active');
      else if (entry.place === 'unschedulable') this.#wake(entry);
      return;
    }
    if (entry !== undefined) this.remove(info.key);
    const queued: QueuedPod = {
      info,
      sinceMs: this.#clock.monotonicMs(),
      attempts: 0,
      rejectedBy: new Set(),
      backoffUntilMs: 0,
    };
    const added: Entry = { queued, place: 'gated', timer: undefined };
    this.#entries.set(info.key, added);
    this.#place(added, this.#gated(pod) ? 'gated' : 'active');
  }

  /** A new state of a pod that waits, which helps nothing. */
  refresh(pod: Pod): void {
    const queued = this.#entries.get(keyOf(pod))?.queued;
    if (queued !== undefined && queued.info.pod.metadata.uid === pod.metadata.uid)
      queued.info = { ...queued.info, pod };
  }

  get(key: string): QueuedPod | undefined {
    return this.#entries.get(key)?.queued;
  }

  remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#leave(entry);
    this.#entries.delete(key);
  }

  /** The next ready pod, taken out. */
  pop(): QueuedPod | undefined {
    for (let entry = this.#popHeap(); entry !== undefined; entry = this.#popHeap()) {
      const { key } = entry.queued.info;
      if (entry.place !== 'active' || this.#entries.get(key) !== entry) continue;
      this.#active--;
      this.#entries.delete(key);
      entry.queued.attempts++;
      return entry.queued;
    }
    return undefined;
  }

  /** Puts a pod back that no node fits, or that met an error (`rejectedBy` empty): the latter is tried again after its back-off. */
  putBack(queued: QueuedPod, rejectedBy: ReadonlySet<string>): void {
    // A newer state of the pod came in meanwhile.
    if (this.#entries.has(queued.info.key)) return;
    queued.rejectedBy = rejectedBy;
    queued.backoffUntilMs =
      this.#clock.monotonicMs() + Math.min(backoffInitialMs * 2 ** (queued.attempts - 1), backoffMaxMs);
    const entry: Entry = { queued, place: 'unschedulable', timer: undefined };
    this.#entries.set(queued.info.key, entry);
    this.#place(entry, rejectedBy.size === 0 ? 'backoff' : 'unschedulable');
  }

  /** Tries those again that the change may help, as the plugins say that rejected them. */
  changed(change: ClusterChange): void {
    for (const entry of [...this.#entries.values()]) {
      if (entry.place !== 'unschedulable') continue;
      const { rejectedBy, info } = entry.queued;
      for (const name of rejectedBy) {
        const plugin = this.#plugins.get(name);
        if (plugin?.helps !== undefined && !plugin.helps(change, info)) continue;
        this.#wake(entry);
        break;
      }
    }
  }

  [Symbol.dispose](): void {
    for (const { timer } of this.#entries.values()) timer?.[Symbol.dispose]();
    this.#entries.clear();
    this.#heap.length = 0;
  }

  #gated(pod: Pod): boolean {
    return this.#gates.some((plugin) => plugin.preEnqueue!(pod) !== undefined);
  }

  /** Ready when its back-off is over, or when nobody else is waiting. */
  #wake(entry: Entry): void {
    const over = entry.queued.backoffUntilMs <= this.#clock.monotonicMs();
    this.#place(entry, over || this.#active === 0 ? 'active' : 'backoff');
  }

  #place(entry: Entry, place: Place): void {
    this.#leave(entry);
    entry.place = place;
    switch (place) {
      case 'active':
        this.#active++;
        this.#pushHeap(entry);
        this.#onReady();
        break;
      case 'backoff': {
        const waitMs = Math.max(0, entry.queued.backoffUntilMs - this.#clock.monotonicMs());
        entry.timer = this.#clock.after(waitMs, () => this.#place(entry, 'active'));
        break;
      }
      case 'unschedulable':
        entry.timer = this.#clock.after(unschedulableMaxMs, () => this.#place(entry, 'active'));
        break;
      case 'gated':
        break;
    }
  }

  #leave(entry: Entry): void {
    entry.timer?.[Symbol.dispose]();
    entry.timer = undefined;
    if (entry.place === 'active') {
      this.#active--;
      entry.place = 'gated';
    }
  }

  #before(a: Entry, b: Entry): boolean {
    return this.#less(
      { pod: a.queued.info.pod, sinceMs: a.queued.sinceMs },
      { pod: b.queued.info.pod, sinceMs: b.queued.sinceMs },
    );
  }

  #pushHeap(entry: Entry): void {
    const heap = this.#heap;
    heap.push(entry);
    for (let child = heap.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (!this.#before(heap[child]!, heap[parent]!)) break;
      [heap[child], heap[parent]] = [heap[parent]!, heap[child]!];
      child = parent;
    }
  }

  #popHeap(): Entry | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    heap[0] = last;
    for (let parent = 0; ; ) {
      const left = 2 * parent + 1;
      let least = parent;
      if (left < heap.length && this.#before(heap[left]!, heap[least]!)) least = left;
      if (left + 1 < heap.length && this.#before(heap[left + 1]!, heap[least]!)) least = left + 1;
      if (least === parent) return top;
      [heap[parent], heap[least]] = [heap[least]!, heap[parent]!];
      parent = least;
    }
  }
}
