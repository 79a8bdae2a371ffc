/**
 * One watch: which keys, which events, and up to where it has been served. There may be a hundred thousand of them to which nothing
 * happens: one small object each, and nothing that stands beside it but its places in two tables.
 */
import type { Event } from '#api-etcd/gen/kv.ts';
import { Event_EventType } from '#api-etcd/gen/kv.ts';
import type { KeyRange } from '#mvcc/store.ts';
import { type Version, versionAt } from '#mvcc/version.ts';

/** Whoever serves a watcher: its stream. */
export interface WatcherOwner {
  /** Takes the changes that a watcher wants; all of one revision, in order. Called while a change is applied. */
  deliver(watcher: Watcher, changes: readonly Version[], events: EventCache): void;
  /** Only history has what one of its watchers misses. */
  lagging(): void;
}

export interface WatcherOptions {
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly prevKv: boolean;
  readonly fragment: boolean;
  readonly progressNotify: boolean;
}

const Flag = {
  oneKey: 1,
  noPut: 2,
  noDelete: 4,
  prevKv: 8,
  fragment: 16,
  progressNotify: 32,
  synced: 64,
  busy: 128,
} as const;

export class Watcher {
  readonly owner: WatcherOwner;
  readonly id: number;
  readonly from: string;
  /** Exclusive; undefined is no end. Of one key it says nothing: the key is `from`. */
  readonly to: string | undefined;
  /** What the client asked for; 0 is from now on. */
  readonly startRevision: number;
  /** First revision that it has not been served. */
  nextRevision: number;
  /** The hub's: what it is to be told of the revision at hand. */
  told: Version[] | undefined = undefined;
  #flags: number;

  constructor(
    owner: WatcherOwner,
    id: number,
    range: KeyRange,
    startRevision: number,
    nextRevision: number,
    { noPut, noDelete, prevKv, fragment, progressNotify }: WatcherOptions,
  ) {
    this.owner = owner;
    this.id = id;
    this.from = range.from;
    this.to = range.isOneKey ? undefined : range.to;
    this.startRevision = startRevision;
    this.nextRevision = nextRevision;
    this.#flags =
      (range.isOneKey ? Flag.oneKey : 0) |
      (noPut ? Flag.noPut : 0) |
      (noDelete ? Flag.noDelete : 0) |
      (prevKv ? Flag.prevKv : 0) |
      (fragment ? Flag.fragment : 0) |
      (progressNotify ? Flag.progressNotify : 0);
  }

  get isOneKey(): boolean {
    return (this.#flags & Flag.oneKey) !== 0;
  }

  get prevKv(): boolean {
    return (this.#flags & Flag.prevKv) !== 0;
  }

  get fragment(): boolean {
    return (this.#flags & Flag.fragment) !== 0;
  }

  get progressNotify(): boolean {
    return (this.#flags & Flag.progressNotify) !== 0;
  }

  /** Has been served everything there is; gets new events as they happen. */
  get synced(): boolean {
    return (this.#flags & Flag.synced) !== 0;
  }

  set synced(is: boolean) {
    this.#flags = is ? this.#flags | Flag.synced : this.#flags & ~Flag.synced;
  }

  /** Got something since the last progress report: the next one is not needed. */
  get busy(): boolean {
    return (this.#flags & Flag.busy) !== 0;
  }

  set busy(is: boolean) {
    this.#flags = is ? this.#flags | Flag.busy : this.#flags & ~Flag.busy;
  }

  /** Whether a change is for it (of that revision, of that key, of that kind). @param key the change's */
  wants({ main, tombstone }: Version, key: string): boolean {
    if (main < this.nextRevision || (this.#flags & (tombstone ? Flag.noDelete : Flag.noPut)) !== 0) return false;
    if (this.isOneKey) return key === this.from;
    return key >= this.from && (this.to === undefined || key < this.to);
  }
}

/**
 * The event that a change is. With `prevKv` it carries what the key was one revision before, if that was anything and has not been
 * compacted.
 */
export function eventOf(change: Version, prevKv: boolean, compactRevision: number): Event {
  const before = prevKv && change.main - 1 >= compactRevision ? versionAt(change.previous, change.main - 1) : undefined;
  return {
    type: change.tombstone ? Event_EventType.DELETE : Event_EventType.PUT,
    kv: change.keyValue(),
    prevKv: before === undefined || before.tombstone ? undefined : before.keyValue(),
  };
}

/** Makes each event once, however many watchers get it. */
export class EventCache {
  readonly #compactRevision: number;
  readonly #plain = new Map<Version, Event>();
  readonly #withPrevious = new Map<Version, Event>();

  constructor(compactRevision: number) {
    this.#compactRevision = compactRevision;
  }

  get(change: Version, prevKv: boolean): Event {
    const cache = prevKv ? this.#withPrevious : this.#plain;
    let event = cache.get(change);
    if (event === undefined) {
      event = eventOf(change, prevKv, this.#compactRevision);
      cache.set(change, event);
    }
    return event;
  }
}
