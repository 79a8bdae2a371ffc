/**
 * A client that watches everything from the first revision on, at one member after the other: where a stream ends it goes on behind what it has seen. Events come in
 * the order of their revisions, none twice and none missing, whatever happens to the members.
 */
import { Event_EventType } from '#api-etcd/gen/kv.ts';
import { Watch, WatchCreateRequest, type WatchResponse } from '#api-etcd/gen/rpc.ts';
import { sleep } from '#std/clock.ts';
import type { ClientWorld } from '../../sim/clients.ts';
import { type Change, kvOf, RevisionLog } from '../../sim/committed-log.ts';
import { sameKv } from '../../sim/linearizability/store-model.ts';
import type { Member } from './members.ts';

export interface WatcherDeps {
  readonly world: ClientWorld;
  readonly members: readonly Member[];
  readonly violated: (what: string) => void;
  readonly name: string;
}

const everything = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };

export class Watcher {
  /** What it was told of, revision by revision. */
  readonly log = new RevisionLog();
  resumed = 0;
  readonly #deps: WatcherDeps;

  constructor(deps: WatcherDeps) {
    this.#deps = deps;
  }

  /** Until `done` says so: it is asked between two answers. */
  async run(done: () => boolean): Promise<void> {
    const { world, members } = this.#deps;
    while (!done()) {
      await this.#follow(world.pick(members), done);
      this.resumed++;
      await sleep(world, world.between(5, 200));
    }
  }

  async #follow({ channel }: Member, done: () => boolean): Promise<void> {
    const { world } = this.#deps;
    const call = channel.open(Watch.methods.watch);
    const leaves = world.after(world.between(500, 8000), () => call.cancel());
    const startRevision = this.log.lastRevision + 1;
    call.send({
      requestUnion: { case: 'createRequest', value: WatchCreateRequest.create({ ...everything, startRevision }) },
    });
    try {
      for await (const response of call.messages) if (done() || !this.#take(response)) break;
    } catch {
      // The member has gone, or cannot be reached: another one goes on.
    } finally {
      leaves[Symbol.dispose]();
      call.cancel();
    }
  }

  /** @returns whether the watch goes on */
  #take({ events, canceled, cancelReason, compactRevision }: WatchResponse): boolean {
    const { violated, name } = this.#deps;
    if (canceled) {
      if (compactRevision > 0) violated(`${name}: told that ${compactRevision} is compacted, which nobody asked for`);
      // A member that stops, or is not ready: another one goes on.
      else if (!/etcdserver: /.test(cancelReason)) violated(`${name}: canceled, why: ${JSON.stringify(cancelReason)}`);
      return false;
    }
    for (let at = 0; at < events.length; ) {
      const revision = events[at]!.kv!.modRevision;
      const changes: Omit<Change, 'before'>[] = [];
      for (; events[at]?.kv?.modRevision === revision; at++) {
        const kv = kvOf(events[at]!.kv!);
        const isDeletion = events[at]!.type === Event_EventType.DELETE;
        changes.push({ revision, key: kv.key, kv: isDeletion ? undefined : kv, record: Buffer.alloc(0) });
      }
      if (revision !== this.log.lastRevision + 1) {
        violated(`${name}: after revision ${this.log.lastRevision} came ${revision}`);
        return false;
      }
      this.log.append(changes, { atMs: 0, place: 0 });
    }
    return true;
  }
}

/** What two watchers were told differs first at this revision; undefined when neither was told anything else. */
export function firstDifference(one: RevisionLog, other: RevisionLog): number | undefined {
  for (const [revision, { changes }] of one.entries()) {
    const theirs = other.at(revision)?.changes;
    const same =
      theirs?.length === changes.length &&
      changes.every(({ key, kv }, i) => key === theirs[i]!.key && sameKv(kv, theirs[i]!.kv));
    if (!same) return revision;
  }
  return undefined;
}
