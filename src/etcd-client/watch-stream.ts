/**
 * All watches of a client over one Watch stream. When the stream breaks, a new one is opened (pauses grow to one second) and each
 * watch continues after the last revision it has handed out: no event is lost or seen twice. A reader that falls behind holds up
 * nobody: its watch is cancelled on the server, and created again from where it stands once it has caught up.
 */
import type { Event } from '#api-etcd/gen/kv.ts';
import {
  Watch,
  WatchCreateRequest,
  type WatchCreateRequest_FilterType,
  type WatchRequest,
  type WatchResponse,
} from '#api-etcd/gen/rpc.ts';
import type { Channel, ClientCall } from '#rpc/call.ts';
import { type Clock, sleep } from '#std/clock.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';

export interface WatchOptions {
  readonly key: Uint8Array;
  /** As in RangeRequest: empty for one key, `\0` for no end. */
  readonly rangeEnd?: Uint8Array;
  /** First revision wanted; 0 (the default) is what comes after now. */
  readonly startRevision?: number;
  readonly prevKv?: boolean;
  readonly progressNotify?: boolean;
  readonly filters?: readonly WatchCreateRequest_FilterType[];
  /** Ends the watch. */
  readonly signal?: AbortSignal;
}

/** What a watch hands out. `revision` is the revision up to which everything has been handed out, except in `created`. */
export type WatchItem =
  /** The server has it (once per watch, resumptions excluded); `revision` is the store's. */
  | { readonly kind: 'created'; readonly revision: number }
  | { readonly kind: 'events'; readonly revision: number; readonly events: readonly Event[] }
  | { readonly kind: 'progress'; readonly revision: number }
  /** The last item: revisions before `compactRevision` are gone, and some of them were wanted. */
  | { readonly kind: 'compacted'; readonly revision: number; readonly compactRevision: number }
  /** The last item: the server will not go on. */
  | { readonly kind: 'canceled'; readonly revision: number; readonly reason: string };

/** Events that may wait for a watch's reader before its watch is taken off the stream. */
const waitingEventsMax = 8192;
const backoffInitialMs = 10;
const backoffMaxMs = 1000;

interface Watcher {
  readonly options: WatchOptions;
  /** What the next create asks for; 0 until the server has told the store's revision. */
  nextRevision: number;
  announced: boolean;
  /** Its id on the stream that stands; undefined while it is not on one. */
  id: number | undefined;
  items: WatchItem[];
  waitingEvents: number;
  ended: { readonly error?: unknown } | undefined;
  wake: (() => void) | undefined;
}

type Call = ClientCall<WatchRequest, WatchResponse>;

export class WatchStream implements AsyncDisposable {
  readonly #channel: Channel;
  readonly #clock: Clock;
  readonly #watchers = new Set<Watcher>();
  readonly #byId = new Map<number, Watcher>();
  /** Watchers whose creation has not been answered yet, in the order of asking. */
  #creating: (Watcher | undefined)[] = [];
  #lastId = 0;
  #call: Call | undefined;
  #running: Promise<void> | undefined;
  readonly #closed = new AbortController();

  constructor(channel: Channel, clock: Clock) {
    this.#channel = channel;
    this.#clock = clock;
  }

  async *watch(options: WatchOptions): AsyncGenerator<WatchItem> {
    if (options.signal?.aborted) return;
    if (this.#closed.signal.aborted) throw new RpcError(Code.Canceled, 'the client is closed');
    const watcher: Watcher = {
      options,
      nextRevision: options.startRevision ?? 0,
      announced: false,
      id: undefined,
      items: [],
      waitingEvents: 0,
      ended: undefined,
      wake: undefined,
    };
    const onAbort = () => {
      watcher.items = [];
      finish(watcher);
    };
    options.signal?.addEventListener('abort', onAbort, { once: true });
    this.#watchers.add(watcher);
    try {
      if (this.#call !== undefined) this.#create(this.#call, watcher);
      this.#running ??= this.#run();
      for (;;) {
        const item = watcher.items.shift();
        if (item !== undefined) {
          if (item.kind === 'events') watcher.waitingEvents -= item.events.length;
          yield item;
          continue;
        }
        if (watcher.ended !== undefined) {
          if ('error' in watcher.ended) throw watcher.ended.error;
          return;
        }
        if (watcher.id === undefined && this.#call !== undefined) this.#create(this.#call, watcher);
        await new Promise<void>((resolve) => {
          watcher.wake = resolve;
        });
        watcher.wake = undefined;
      }
    } finally {
      options.signal?.removeEventListener('abort', onAbort);
      this.#watchers.delete(watcher);
      this.#takeOff(watcher);
      if (this.#watchers.size === 0) this.#letGo();
    }
  }

  requestProgress(): void {
    this.#call?.send({ requestUnion: { case: 'progressRequest', value: {} } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new RpcError(Code.Canceled, 'the client is closed'));
    for (const watcher of this.#watchers) finish(watcher);
    this.#letGo();
    await this.#running;
  }

  /** A stream without watches is not kept; a watch that comes now gets a new one. */
  #letGo(): void {
    const call = this.#call;
    this.#call = undefined;
    call?.cancel();
  }

  /** Keeps a stream open as long as there are watchers. */
  async #run(): Promise<void> {
    let backoffMs = backoffInitialMs;
    while (this.#watchers.size > 0 && !this.#closed.signal.aborted) {
      const call = this.#channel.open(Watch.methods.watch);
      this.#call = call;
      for (const watcher of this.#watchers) this.#create(call, watcher);
      let failure: unknown;
      try {
        for await (const response of call.messages) {
          backoffMs = backoffInitialMs;
          this.#take(response);
        }
      } catch (error) {
        failure = error;
      }
      const letGo = this.#call !== call;
      this.#call = undefined;
      this.#byId.clear();
      this.#creating = [];
      for (const watcher of this.#watchers) watcher.id = undefined;
      if (letGo) continue;
      if (failure !== undefined && !mayResume(failure)) {
        for (const watcher of this.#watchers) finish(watcher, { error: failure });
        break;
      }
      await sleep(this.#clock, backoffMs, this.#closed.signal).catch(() => {});
      backoffMs = Math.min(backoffMs * 2, backoffMaxMs);
    }
    this.#running = undefined;
    // Watches that came while the last stream was going away.
    if (!this.#closed.signal.aborted && [...this.#watchers].some(({ ended }) => ended === undefined))
      this.#running = this.#run();
  }

  #create(call: Call, watcher: Watcher): void {
    if (watcher.ended !== undefined || watcher.id !== undefined) return;
    const { key, rangeEnd, prevKv, progressNotify, filters } = watcher.options;
    watcher.id = ++this.#lastId;
    this.#byId.set(watcher.id, watcher);
    this.#creating.push(watcher);
    const value = WatchCreateRequest.create({
      key,
      startRevision: watcher.nextRevision,
      watchId: watcher.id,
      ...(rangeEnd && { rangeEnd }),
      ...(prevKv && { prevKv }),
      ...(progressNotify && { progressNotify }),
      ...(filters && { filters }),
    });
    call.send({ requestUnion: { case: 'createRequest', value } });
  }

  /** Takes a watcher off the stream, not out of the client. */
  #takeOff(watcher: Watcher): void {
    if (watcher.id === undefined) return;
    this.#byId.delete(watcher.id);
    const at = this.#creating.indexOf(watcher);
    if (at >= 0) this.#creating[at] = undefined;
    this.#call?.send({ requestUnion: { case: 'cancelRequest', value: { watchId: watcher.id } } });
    watcher.id = undefined;
  }

  #take(response: WatchResponse): void {
    const revision = response.header?.revision ?? 0;
    // Answers to creations come in the order of the requests; a refused one has no id.
    const created = response.created ? this.#creating.shift() : undefined;
    if (response.watchId === -1 && !response.created) {
      for (const watcher of this.#byId.values()) this.#progress(watcher, revision);
      return;
    }
    const watcher = response.watchId === -1 ? created : this.#byId.get(response.watchId);
    if (watcher === undefined || watcher.ended !== undefined) return;
    if (response.canceled) {
      this.#byId.delete(watcher.id!);
      watcher.id = undefined;
      const { compactRevision, cancelReason } = response;
      push(
        watcher,
        compactRevision > 0
          ? { kind: 'compacted', revision, compactRevision }
          : { kind: 'canceled', revision, reason: cancelReason },
      );
      finish(watcher);
      return;
    }
    if (response.created) {
      if (watcher.nextRevision === 0) watcher.nextRevision = revision + 1;
      if (!watcher.announced) push(watcher, { kind: 'created', revision });
      watcher.announced = true;
      return;
    }
    const { events } = response;
    if (events.length === 0) {
      this.#progress(watcher, revision);
      return;
    }
    const last = events[events.length - 1]!.kv!.modRevision;
    watcher.nextRevision = last + 1;
    watcher.waitingEvents += events.length;
    push(watcher, { kind: 'events', revision: last, events });
    if (watcher.waitingEvents > waitingEventsMax) this.#takeOff(watcher);
  }

  #progress(watcher: Watcher, revision: number): void {
    // Before its creation was answered, nothing is known about what the watch has seen.
    if (this.#creating.includes(watcher)) return;
    watcher.nextRevision = Math.max(watcher.nextRevision, revision + 1);
    push(watcher, { kind: 'progress', revision });
  }
}

function push(watcher: Watcher, item: WatchItem): void {
  watcher.items.push(item);
  watcher.wake?.();
}

function finish(watcher: Watcher, end: { readonly error?: unknown } = {}): void {
  watcher.ended ??= end;
  watcher.wake?.();
}

/** As upstream's client: what may pass is tried again, anything else is final. */
function mayResume(error: unknown): boolean {
  return error instanceof RpcError && (error.code === Code.Unavailable || error.code === Code.Internal);
}
