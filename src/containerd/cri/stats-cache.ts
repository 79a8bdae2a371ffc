/**
 * What stats need from before: the last reading of each container's processor time, to tell the rate, and the size of its writable layer, which
 * takes a walk over its files and is at most some seconds old.
 */
import type { DiskUsage } from '#host/disk-usage.ts';
import type { Clock } from '#std/clock.ts';
import type { Snapshotter } from '../snapshots/snapshotter.ts';

/** containerd's stats_collect_period. */
const layerAgeMaxMs = 10_000;
/** Readings closer together than this would give a rate of noise. */
const rateWindowMinMs = 100;

export class StatsCache {
  readonly #clock: Clock;
  readonly #snapshots: Snapshotter;
  readonly #cpu = new Map<string, { atMs: number; usage: bigint; nanoCores: bigint | undefined }>();
  readonly #layers = new Map<string, { atMs: number; usage: Promise<DiskUsage | undefined> }>();

  constructor(clock: Clock, snapshots: Snapshotter) {
    this.#clock = clock;
    this.#snapshots = snapshots;
  }

  /** Nanoseconds of processor time a second since the last call; undefined the first time. */
  nanoCores(id: string, usage: bigint): bigint | undefined {
    const atMs = this.#clock.monotonicMs();
    const last = this.#cpu.get(id);
    if (last !== undefined && atMs - last.atMs < rateWindowMinMs) return last.nanoCores;
    const nanoCores =
      last === undefined || usage < last.usage
        ? undefined
        : BigInt(Math.round((Number(usage - last.usage) * 1000) / (atMs - last.atMs)));
    this.#cpu.set(id, { atMs, usage, nanoCores });
    return nanoCores;
  }

  /** Undefined when the snapshot went away. */
  writableLayer(key: string): Promise<DiskUsage | undefined> {
    const atMs = this.#clock.monotonicMs();
    const cached = this.#layers.get(key);
    if (cached !== undefined && atMs - cached.atMs < layerAgeMaxMs) return cached.usage;
    const usage = (async () => this.#snapshots.usage(key))().catch(() => undefined);
    this.#layers.set(key, { atMs, usage });
    return usage;
  }

  forget(id: string): void {
    this.#cpu.delete(id);
    this.#layers.delete(id);
  }
}
