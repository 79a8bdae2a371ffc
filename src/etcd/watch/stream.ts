/**
 * One Watch stream and its watchers. Events go out as they happen while the client takes them; when its window is full, watchers
 * that miss something become unsynced and are served from the store's history as soon as there is room again. So no event is ever
 * dropped and nothing is queued here, however slow the client.
 */
import { etcdErrorMessage } from '#api-etcd/errors.ts';
import type { Event } from '#api-etcd/gen/kv.ts';
import {
  type ResponseHeader,
  type WatchCreateRequest,
  WatchCreateRequest_FilterType,
  type WatchRequest,
  WatchResponse,
} from '#api-etcd/gen/rpc.ts';
import { nextTurn } from '#host/event-loop.ts';
import { keyRange, type Store } from '#mvcc/store.ts';
import type { Version } from '#mvcc/version.ts';
import type { Sink } from '#rpc/call.ts';
import type { Clock, Timer } from '#std/clock.ts';
import { codeName, RpcError } from '#wire/grpc/status.ts';
import type { WatchHub } from './hub.ts';
import { EventCache, Watcher, type WatcherOwner } from './watcher.ts';

export interface WatchStreamOptions {
  /** The store as it is now: not to be kept. */
  readonly store: () => Store;
  readonly hub: WatchHub;
  readonly clock: Clock;
  readonly header: (revision: number) => ResponseHeader;
  /** @throws RpcError when the caller may not see these keys */
  readonly checkRead: (key: Uint8Array, rangeEnd: Uint8Array) => void;
  readonly progressNotifyIntervalMs: number;
  /** Larger answers are cut for watchers that asked for fragments. */
  readonly fragmentBytesMax: number;
}

/** Revisions that an unsynced watcher is served at a time. */
const catchUpRevisionsMax = 1000;
const noWatchId = -1;

export class ServerWatchStream implements WatcherOwner {
  readonly #options: WatchStreamOptions;
  readonly #sink: Sink<WatchResponse>;
  readonly #watchers = new Map<number, Watcher>();
  #nextId = 0;
  #room = true;
  #catchingUp = false;
  #ended = false;
  #progressTimer: Timer | undefined;

  constructor(options: WatchStreamOptions, sink: Sink<WatchResponse>) {
    this.#options = options;
    this.#sink = sink;
  }

  take({ requestUnion: request }: WatchRequest): void {
    switch (request.case) {
      case 'createRequest':
        this.#create(request.value);
        return;
      case 'cancelRequest':
        this.#cancel(request.value.watchId);
        return;
      case 'progressRequest':
        this.#progressOfAll();
        return;
      case undefined:
        return;
    }
  }

  /** Resolves when the client takes answers: requests are not read before. Rejects when the call has ended. */
  drained(): Promise<void> {
    return this.#room ? Promise.resolve() : this.#sink.drained();
  }

  /** The call is over. */
  end(): void {
    this.#ended = true;
    this.#progressTimer?.[Symbol.dispose]();
    for (const watcher of this.#watchers.values()) this.#options.hub.delete(watcher);
    this.#watchers.clear();
  }

  #create(request: WatchCreateRequest): void {
    const store = this.#options.store();
    const { watchId, startRevision, filters } = request;
    const key = request.key.length === 0 ? Uint8Array.of(0) : request.key;
    const range = keyRange(key, request.rangeEnd);
    const problem =
      startRevision < 0
        ? etcdErrorMessage('compacted')
        : (this.#permissionProblem(key, request.rangeEnd) ??
          (range.to !== undefined && range.from >= range.to
            ? 'mvcc: watcher range is empty'
            : watchId !== 0 && this.#watchers.has(watchId)
              ? 'mvcc: duplicate watch ID provided on the WatchStream'
              : undefined));
    if (problem !== undefined) {
      this.#send({ watchId: noWatchId, created: true, canceled: true, cancelReason: problem });
      return;
    }
    const synced = startRevision === 0 || startRevision > store.revision;
    const nextRevision = synced ? Math.max(startRevision, store.revision + 1) : startRevision;
    const watcher = new Watcher(this, watchId === 0 ? this.#freeId() : watchId, range, startRevision, nextRevision, {
      noPut: filters.includes(WatchCreateRequest_FilterType.NOPUT),
      noDelete: filters.includes(WatchCreateRequest_FilterType.NODELETE),
      prevKv: request.prevKv,
      fragment: request.fragment,
      progressNotify: request.progressNotify,
    });
    this.#watchers.set(watcher.id, watcher);
    if (synced) this.#options.hub.add(watcher);
    else this.#options.hub.lag(watcher);
    if (watcher.progressNotify) this.#armProgress();
    this.#send({ watchId: watcher.id, created: true });
    if (!synced) this.#catchUp();
  }

  /** The range is checked as it was asked for: one key is one key. */
  #permissionProblem(key: Uint8Array, rangeEnd: Uint8Array): string | undefined {
    try {
      this.#options.checkRead(key, rangeEnd);
      return undefined;
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      // Here upstream puts the whole error into words, not its text alone.
      return `rpc error: code = ${codeName(error.code)} desc = ${error.message}`;
    }
  }

  #freeId(): number {
    while (this.#watchers.has(this.#nextId)) this.#nextId++;
    return this.#nextId++;
  }

  #cancel(id: number): void {
    const watcher = this.#watchers.get(id);
    if (watcher === undefined) return;
    this.#watchers.delete(id);
    this.#options.hub.delete(watcher);
    this.#send({ watchId: id, canceled: true });
  }

  /** One answer for all watchers, once every one of them has seen everything up to it. */
  #progressOfAll(): void {
    const { revision } = this.#options.store();
    const watchers = [...this.#watchers.values()];
    if (watchers.length === 0 || watchers.some((watcher) => !watcher.synced || revision < watcher.startRevision))
      return;
    this.#send({ watchId: noWatchId });
  }

  #armProgress(): void {
    const { clock, progressNotifyIntervalMs } = this.#options;
    this.#progressTimer ??= clock.after(progressNotifyIntervalMs, () => {
      this.#progressTimer = undefined;
      this.#reportProgress();
    });
  }

  #reportProgress(): void {
    const { revision } = this.#options.store();
    let again = false;
    for (const watcher of this.#watchers.values()) {
      if (!watcher.progressNotify) continue;
      again = true;
      if (!watcher.busy && watcher.synced && this.#room && revision >= watcher.startRevision)
        this.#send({ watchId: watcher.id });
      watcher.busy = false;
    }
    if (again && !this.#ended) this.#armProgress();
  }

  deliver(watcher: Watcher, changes: readonly Version[], events: EventCache): void {
    if (!this.#room) {
      // It will be served from here once there is room.
      watcher.nextRevision = changes[0]!.main;
      this.#options.hub.lag(watcher);
      return;
    }
    watcher.nextRevision = changes[0]!.main + 1;
    this.#sendEvents(watcher, changes[0]!.main, changes, events);
  }

  lagging(): void {
    if (!this.#ended) this.#catchUp();
  }

  #sendEvents(watcher: Watcher, revision: number, changes: readonly Version[], cache: EventCache): void {
    watcher.busy = true;
    const events = changes.map((change) => cache.get(change, watcher.prevKv));
    const { fragmentBytesMax, header } = this.#options;
    const whole = WatchResponse.create({ header: header(revision), watchId: watcher.id, events });
    if (!watcher.fragment || events.length < 2 || WatchResponse.size(whole) < fragmentBytesMax) {
      this.#write(whole);
      return;
    }
    let part: Event[] = [];
    for (const event of events) {
      if (part.length > 0 && WatchResponse.size({ ...whole, events: [...part, event] }) >= fragmentBytesMax) {
        this.#write({ ...whole, events: part, fragment: true });
        part = [];
      }
      part.push(event);
    }
    this.#write({ ...whole, events: part });
  }

  #send(response: Partial<WatchResponse>): void {
    const { store, header } = this.#options;
    this.#write(WatchResponse.create({ header: header(store().revision), ...response }));
  }

  #write(response: WatchResponse): void {
    if (this.#ended) return;
    let room: boolean;
    try {
      room = this.#sink.send(response);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      // The call has ended, and `end` is on its way: neither who applies a change nor who catches up may hear of it.
      this.#ended = true;
      return;
    }
    if (room || !this.#room) return;
    this.#room = false;
    this.#sink.drained().then(
      () => {
        this.#room = true;
        this.#catchUp();
      },
      // The call has ended: `end` is on its way.
      () => {},
    );
  }

  /** Serves unsynced watchers from history, a piece each turn of the event loop, as long as there is room. */
  #catchUp(): void {
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    // A turn of its own: nothing is sent on the stack of whoever made the watch.
    void Promise.resolve().then(async () => {
      for (let more = true; more && this.#room && !this.#ended; ) {
        more = false;
        for (const watcher of this.#watchers.values()) {
          if (watcher.synced) continue;
          more = true;
          if (!this.#room) break;
          this.#serveHistory(watcher);
        }
        if (more) await nextTurn();
      }
      this.#catchingUp = false;
    });
  }

  #serveHistory(watcher: Watcher): void {
    const { hub } = this.#options;
    const store = this.#options.store();
    const current = store.revision;
    if (watcher.nextRevision < store.compactRevision) {
      this.#watchers.delete(watcher.id);
      hub.delete(watcher);
      // Without a revision, as upstream: clients read `compact_revision`.
      const { compactRevision } = store;
      this.#send({ header: this.#options.header(0), watchId: watcher.id, canceled: true, compactRevision });
      return;
    }
    const { versions, next } = store.changes(watcher.nextRevision, current, catchUpRevisionsMax);
    const changes = versions.filter((version) => watcher.wants(version, version.key));
    // A start in the future stays there, even when the leader's state, not that far on, takes the place of ours.
    watcher.nextRevision = Math.max(watcher.nextRevision, next);
    if (changes.length > 0) this.#sendEvents(watcher, current, changes, new EventCache(store.compactRevision));
    if (next <= current) return;
    hub.add(watcher);
  }
}
