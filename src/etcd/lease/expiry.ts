/**
 * When leases run out. Only the leader keeps this, from its own clock; what it finds expired it asks the log to revoke. It holds
 * one timer, for the next lease due.
 */
import type { Clock, Timer } from '#std/clock.ts';

interface Due {
  readonly id: bigint;
  readonly atMs: number;
}

/** A revocation that failed (no quorum, say) is tried again after this. */
const retryMs = 500;

export class LeaseExpiry implements Disposable {
  readonly #clock: Clock;
  readonly #expire: (id: bigint) => void;
  /** Deadlines on the monotonic clock. */
  readonly #deadlines = new Map<bigint, number>();
  /** Min-heap by time. An entry whose lease was renewed or revoked since is stale and passed over. */
  #heap: Due[] = [];
  /** Leases whose revocation was asked for. */
  readonly #expired = new Set<bigint>();
  #timer: { readonly timer: Timer; readonly atMs: number } | undefined;
  #disposed = false;

  /** @param expire asks for a revocation; the lease stays until {@link remove} is called, and is asked for again meanwhile */
  constructor(clock: Clock, expire: (id: bigint) => void) {
    this.#clock = clock;
    this.#expire = expire;
  }

  /** Starts a lease's time anew. False, and nothing happens, when it has run out already. */
  renew(id: bigint, ttlSeconds: number): boolean {
    if (this.#expired.has(id)) return false;
    const atMs = this.#clock.monotonicMs() + ttlSeconds * 1000;
    this.#deadlines.set(id, atMs);
    // Renewals leave stale entries behind: no more of them than leases.
    if (this.#heap.length > 2 * this.#deadlines.size + 64) {
      this.#heap = [];
      for (const [each, dueMs] of this.#deadlines) this.#push({ id: each, atMs: dueMs });
    } else this.#push({ id, atMs });
    this.#arm();
    return true;
  }

  remove(id: bigint): void {
    this.#deadlines.delete(id);
    this.#expired.delete(id);
  }

  /** Its time is over, as far as is known here, and its revocation was asked for. */
  isExpired(id: bigint): boolean {
    return this.#expired.has(id);
  }

  /** Another member leads: it counts now. */
  clear(): void {
    this.#deadlines.clear();
    this.#expired.clear();
    this.#heap = [];
    this.#timer?.timer[Symbol.dispose]();
    this.#timer = undefined;
  }

  /** Milliseconds left, not under 0; undefined for a lease that is not known. */
  remainingMs(id: bigint): number | undefined {
    const atMs = this.#deadlines.get(id);
    if (this.#expired.has(id)) return 0;
    return atMs === undefined ? undefined : Math.max(0, atMs - this.#clock.monotonicMs());
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.timer[Symbol.dispose]();
  }

  #arm(): void {
    const next = this.#next();
    if (next === undefined || this.#disposed) return;
    if (this.#timer !== undefined) {
      if (this.#timer.atMs <= next.atMs) return;
      this.#timer.timer[Symbol.dispose]();
    }
    const timer = this.#clock.after(Math.max(0, next.atMs - this.#clock.monotonicMs()), () => {
      this.#timer = undefined;
      this.#expireDue();
    });
    this.#timer = { timer, atMs: next.atMs };
  }

  #expireDue(): void {
    const nowMs = this.#clock.monotonicMs();
    for (let due = this.#next(); due !== undefined && due.atMs <= nowMs; due = this.#next()) {
      this.#pop();
      this.#expired.add(due.id);
      // Looked at again in case the revocation fails.
      this.#push({ id: due.id, atMs: nowMs + retryMs });
      this.#deadlines.set(due.id, nowMs + retryMs);
      this.#expire(due.id);
    }
    this.#arm();
  }

  /** The earliest entry that is not stale. */
  #next(): Due | undefined {
    for (;;) {
      const due = this.#heap[0];
      if (due === undefined || this.#deadlines.get(due.id) === due.atMs) return due;
      this.#pop();
    }
  }

  #push(due: Due): void {
    const heap = this.#heap;
    heap.push(due);
    for (let child = heap.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (heap[parent]!.atMs <= heap[child]!.atMs) break;
      [heap[child], heap[parent]] = [heap[parent]!, heap[child]!];
      child = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let parent = 0; ; ) {
      const left = 2 * parent + 1;
      const right = left + 1;
      let least = parent;
      if (left < heap.length && heap[left]!.atMs < heap[least]!.atMs) least = left;
      if (right < heap.length && heap[right]!.atMs < heap[least]!.atMs) least = right;
      if (least === parent) return;
      [heap[parent], heap[least]] = [heap[least]!, heap[parent]!];
      parent = least;
    }
  }
}
