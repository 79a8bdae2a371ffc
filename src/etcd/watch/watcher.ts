/** One watch: which keys, which events, and up to where it has been served. */
import type { Event } from '#api-etcd/gen/kv.ts';
import { Event_EventType } from '#api-etcd/gen/kv.ts';
import type { KeyRange } from '#mvcc/store.ts';
import { type Version, versionAt } from '#mvcc/version.ts';

export interface Watcher {
  readonly id: number;
  readonly range: KeyRange;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly prevKv: boolean;
  readonly fragment: boolean;
  readonly progressNotify: boolean;
  /** What the client asked for; 0 is from now on. */
  readonly startRevision: number;
  /** First revision that it has not been served. */
  nextRevision: number;
  /** Has been served everything there is; gets new events as they happen. */
  synced: boolean;
  /** Got something since the last progress report: the next one is not needed. */
  busy: boolean;
}

/** Whether a change is for a watcher (of that revision, of that key, of that kind). */
export function wants({ range: { from, to }, noPut, noDelete, nextRevision }: Watcher, change: Version): boolean {
  return (
    change.main >= nextRevision &&
    change.key >= from &&
    (to === undefined || change.key < to) &&
    !(change.tombstone ? noDelete : noPut)
  );
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
