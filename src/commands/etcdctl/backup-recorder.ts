/**
 * What `etcdctl backup run` does: watches every change of a cluster, writes it to the archive, and takes bases beside that. As it watches all
 * keys, every revision brings something: one that does not come is a gap, and a gap begins a new row of segments with a new base.
 */
import { SegmentBatch, type SegmentChange } from '#api-etcd/gen/backup.ts';
import { Event } from '#api-etcd/gen/kv.ts';
import { Lease as StoredLease } from '#api-etcd/gen/lease.ts';
import { Lease, LeaseTimeToLiveRequest } from '#api-etcd/gen/rpc.ts';
import type { WatchItem } from '#etcd-client/watch-stream.ts';
import { type Clock, sleep } from '#std/clock.ts';
import { RpcError } from '#wire/grpc/status.ts';
import { keepBases } from './backup-bases.ts';
import { positionOf, type Row, rowBehind, wentBack } from './backup-row.ts';
import { EtcdctlExit, type Session, wrong } from './session.ts';

export interface RecorderOptions {
  readonly session: Session;
  readonly folder: string;
  readonly clock: Clock;
  /** How long changes may wait before they are written. */
  readonly syncMs: number;
  /** How often a new base is taken. */
  readonly baseEveryMs: number;
  /** A segment is ended when it is larger. */
  readonly segmentBytes: number;
  /** What is older and not needed for anything younger goes; undefined keeps all. */
  readonly retainMs: number | undefined;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Changes are written when as many wait, whatever the time. */
const batchBytesMax = 1 << 20;
/** When nothing happens, the cluster is asked as often whether that is so. */
const idleMs = 10_000;
/** Ids of leases that have been looked up; after as many all are forgotten, and looked up again. */
const leasesMax = 100_000;
/** Looked up after a batch; those that wait longer than {@link leasesMax} lookups are not known to the archive. */
const leaseLookupsMax = 64;
const allKeys = Uint8Array.of(0);

/** Until `signal` aborts. @throws ArchiveError when the archive is another cluster's, or the cluster has gone back; RpcError */
export async function record(options: RecorderOptions): Promise<void> {
  const { folder, say, signal } = options;
  for (let afterGap = false; ; afterGap = true) {
    const row = await rowBehind(options, afterGap);
    const ended = new AbortController();
    const either = AbortSignal.any([signal, ended.signal]);
    let failure: unknown;
    const bases = keepBases({ ...options, signal: either }, row.firstRevision).catch((error: unknown) => {
      if (either.aborted) return;
      // Whoever fails ends the other.
      failure = error;
      ended.abort(error);
    });
    let gap: string | undefined;
    try {
      gap = await new Follower({ ...options, signal: either }, row).run();
      if (gap !== undefined) await row.writer.end();
    } finally {
      ended.abort(new Error('the watch has ended'));
      await bases;
      await row.writer[Symbol.asyncDispose]();
    }
    if (failure !== undefined) throw failure;
    if (gap === undefined) return;
    say(`${gap}: what happened in between is not in ${folder}; a new base is taken`);
  }
}

class Follower {
  readonly #options: RecorderOptions;
  readonly #row: Row;
  #pending: SegmentChange[] = [];
  #pendingBytes = 0;
  #pendingSinceMs = 0;
  #lastTimeMs: number;
  readonly #knownLeases = new Set<bigint>();
  readonly #leasesToAsk = new Set<bigint>();

  constructor(options: RecorderOptions, row: Row) {
    this.#options = options;
    this.#row = row;
    this.#lastTimeMs = row.lastTimeMs;
  }

  /** @returns why there is a gap; undefined when it was told to stop */
  async run(): Promise<string | undefined> {
    const { session, clock, syncMs, signal } = this.#options;
    const startRevision = this.#row.writer.last + 1;
    const items = session.client
      .watch({ key: allKeys, rangeEnd: allKeys, startRevision, signal })
      [Symbol.asyncIterator]();
    try {
      let next = items.next();
      for (;;) {
        const waiting = new AbortController();
        const waitMs =
          this.#pending.length > 0 ? Math.max(0, this.#pendingSinceMs + syncMs - clock.monotonicMs()) : idleMs;
        const arrived = await Promise.race([next, sleep(clock, waitMs, waiting.signal).catch(() => {})]).finally(() =>
          waiting.abort(),
        );
        if (arrived === undefined) {
          const gap = this.#pending.length > 0 ? await this.#flush() : await this.#stillThere();
          if (gap !== undefined) return gap;
          continue;
        }
        if (arrived.done === true) {
          if (this.#pending.length > 0) await this.#flush();
          return undefined;
        }
        const gap = this.#take(arrived.value);
        if (gap !== undefined) {
          if (this.#pending.length > 0) await this.#flush();
          return gap;
        }
        if (arrived.value.kind === 'created') await this.#stillThere();
        if (this.#pendingBytes >= batchBytesMax) await this.#flush();
        next = items.next();
      }
    } finally {
      await items.return?.();
    }
  }

  get #last(): number {
    return this.#pending.at(-1)?.revision ?? this.#row.writer.last;
  }

  #take(item: WatchItem): string | undefined {
    if (item.kind === 'compacted')
      return `revisions up to ${item.compactRevision} were compacted before the archive, at ${this.#last}, had seen them`;
    if (item.kind === 'canceled') throw wrong(`the watch was canceled: ${item.reason}`, EtcdctlExit.error);
    if (item.kind !== 'events') return undefined;
    // The wall clock may jump back; the archive's does not.
    const timeMs = Math.max(this.#lastTimeMs, this.#options.clock.now());
    this.#lastTimeMs = timeMs;
    if (this.#pending.length === 0) this.#pendingSinceMs = this.#options.clock.monotonicMs();
    let change: { revision: number; timeMs: number; events: Event[] } | undefined;
    for (const event of item.events) {
      const { modRevision: revision, lease } = event.kv!;
      if (revision !== change?.revision) {
        if (revision !== this.#last + 1) return `revision ${this.#last + 1} did not come, but ${revision}`;
        change = { revision, timeMs, events: [] };
        this.#pending.push(change);
      }
      change.events.push(event);
      this.#pendingBytes += Event.size(event);
      if (lease !== 0n && !this.#knownLeases.has(lease) && this.#leasesToAsk.size < leasesMax)
        this.#leasesToAsk.add(lease);
    }
    return undefined;
  }

  async #flush(): Promise<undefined> {
    const { clock, segmentBytes } = this.#options;
    const row = this.#row;
    const changes = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    const timeMs = Math.max(this.#lastTimeMs, clock.now());
    this.#lastTimeMs = timeMs;
    const { raftTerm } = row;
    await row.writer.append(SegmentBatch.create({ changes, timeMs, raftTerm }));
    // Changes do not wait for what may take long.
    const leases = await this.#lookUpLeases();
    if (leases.length > 0) await row.writer.append(SegmentBatch.create({ timeMs, raftTerm, leases }));
    if (row.writer.bytes >= segmentBytes) await row.next(timeMs);
  }

  /** A quorum says that nothing has happened: so much is known then. */
  async #stillThere(): Promise<undefined> {
    const { session, say } = this.#options;
    try {
      const now = await positionOf(session);
      wentBack(this.#options.folder, { revision: this.#last, raftTerm: this.#row.raftTerm }, now);
      this.#row.raftTerm = now.raftTerm;
      // Otherwise there are events on their way.
      if (now.revision === this.#last) await this.#flush();
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      if (!this.#options.signal.aborted) say(`the cluster does not answer: ${error.message}`);
    }
  }

  /** How long they are granted is not in the changes. One that is gone already stays unknown. */
  async #lookUpLeases(): Promise<StoredLease[]> {
    const leases: StoredLease[] = [];
    const ids = [...this.#leasesToAsk].slice(0, leaseLookupsMax);
    if (this.#knownLeases.size + ids.length > leasesMax) this.#knownLeases.clear();
    const { channel, call } = this.#options.session;
    await Promise.all(
      ids.map(async (id) => {
        this.#leasesToAsk.delete(id);
        this.#knownLeases.add(id);
        try {
          const request = LeaseTimeToLiveRequest.create({ id });
          const { grantedTTL } = await channel.unary(Lease.methods.leaseTimeToLive, request, call);
          if (grantedTTL > 0) leases.push(StoredLease.create({ id, ttl: grantedTTL }));
        } catch (error) {
          if (!(error instanceof RpcError)) throw error;
        }
      }),
    );
    return leases;
  }
}
