/**
 * A client that watches keys across members that come and go, and checks every answer as it arrives: events in the order of their revisions, none twice, none
 * missing, none torn apart, none that was not agreed on; after a break it goes on where it was; a progress report is a promise that nothing before it is still to come.
 */
import { Event_EventType, type KeyValue } from '#api-etcd/gen/kv.ts';
import { Watch, WatchCreateRequest, type WatchResponse } from '#api-etcd/gen/rpc.ts';
import { utf8Encode } from '#std/bytes.ts';
import { sleep } from '#std/clock.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { SimCluster } from './cluster.ts';
import { type Change, type CommittedLog, kvOf } from './committed-log.ts';
import { type Kv, sameKv } from './linearizability/store-model.ts';
import type { World } from './world/world.ts';

export interface WatchCounts {
  events: number;
  resumed: number;
  progress: number;
  compacted: number;
}

export interface WatcherDeps {
  readonly world: World;
  readonly cluster: SimCluster;
  readonly log: CommittedLog;
  readonly counts: WatchCounts;
  readonly violated: (what: string) => void;
  readonly name: string;
  /** One key, or all that begin so. */
  readonly key: string;
  readonly end: string | undefined;
  readonly done: () => boolean;
}

/** One client that watches until it is done, each time at a member drawn from those that serve. */
export class SimWatcher {
  readonly #deps: WatcherDeps;
  /** Everything up to here was seen. */
  #seen = 1;

  constructor(deps: WatcherDeps) {
    this.#deps = deps;
  }

  get seen(): number {
    return this.#seen;
  }

  async run(): Promise<void> {
    const { world, cluster, counts, done } = this.#deps;
    while (!done()) {
      const { serving } = cluster;
      if (serving.length > 0) {
        await this.#follow(serving[world.between(0, serving.length - 1)]!.run!);
        counts.resumed++;
      }
      await sleep(world, world.between(5, 100));
    }
  }

  async #follow(run: NonNullable<SimCluster['members'][number]['run']>): Promise<void> {
    const { world, key, end, done, violated, name } = this.#deps;
    const learnt = run.etcd!.member.isLearner;
    const call = run.channel!.open(Watch.methods.watch);
    let left = false;
    const cancel = () => {
      left = true;
      call.cancel();
    };
    run.onEnd.add(cancel);
    const leaves = world.after(world.between(500, 8000), cancel);
    const asks = world.after(world.between(10, 400), () =>
      call.send({ requestUnion: { case: 'progressRequest', value: {} } }),
    );
    call.send({
      requestUnion: {
        case: 'createRequest',
        value: WatchCreateRequest.create({
          key: utf8Encode(key),
          ...(end !== undefined && { rangeEnd: utf8Encode(end) }),
          startRevision: this.#seen + 1,
          prevKv: true,
          progressNotify: true,
        }),
      },
    });
    try {
      for await (const response of call.messages) {
        // What a process said before it was stopped, or died, has arrived; what it says after has not.
        if (!run.clock.alive || done()) break;
        if (!this.#take(response)) break;
        // Some clients are slow at times: the server must keep what they miss.
        if (world.chance(20)) await sleep(world, world.between(50, 2000));
      }
    } catch (error) {
      // The member is gone, or stops, or the watch was left, or learners serve none: it goes on elsewhere.
      const code = error instanceof RpcError ? error.code : undefined;
      const learns = learnt || run.etcd!.member.isLearner;
      const expected =
        left || !run.clock.alive || code === Code.Unavailable || (learns && code === Code.FailedPrecondition);
      if (!expected) violated(`${name}: the watch broke off: ${error instanceof Error ? error.stack : error}`);
    } finally {
      leaves[Symbol.dispose]();
      asks[Symbol.dispose]();
      run.onEnd.delete(cancel);
      call.cancel();
    }
  }

  /** @returns whether the watch goes on */
  #take({ header, events, created, canceled, cancelReason, compactRevision }: WatchResponse): boolean {
    const { log, counts, violated, name } = this.#deps;
    const revision = header!.revision;
    if (canceled) {
      if (compactRevision > 0) {
        counts.compacted++;
        if (compactRevision <= this.#seen)
          violated(`${name}: told that ${compactRevision} is compacted, but asked from ${this.#seen + 1} on`);
        if (compactRevision > log.compactionAsked)
          violated(`${name}: told that ${compactRevision} is compacted; asked for was up to ${log.compactionAsked}`);
        this.#seen = Math.max(this.#seen, compactRevision - 1);
      } else violated(`${name}: canceled, though nobody asked for it: ${cancelReason}`);
      return false;
    }
    if (created) return true;
    if (events.length === 0) {
      counts.progress++;
      if (revision < this.#seen) violated(`${name}: progress to ${revision}, but it was at ${this.#seen} before`);
      if (revision > log.lastRevision) violated(`${name}: progress to ${revision}, which nobody has applied`);
      const missing = this.#expected(revision)[0];
      if (missing !== undefined) violated(`${name}: progress to ${revision}, but ${told(missing)} was not seen`);
      this.#seen = Math.max(this.#seen, revision);
      return true;
    }
    counts.events += events.length;
    const last = events.at(-1)!.kv!.modRevision;
    const expected = this.#expected(last);
    for (const [i, event] of events.entries()) {
      const change = expected[i];
      const { modRevision } = event.kv!;
      if (change === undefined || !matches(event, change)) {
        const kind = modRevision <= this.#seen ? 'again, or late' : 'not what was agreed on, or after a gap';
        violated(
          `${name}: after ${this.#seen} came ${told(eventChange(event))} (${kind}); expected ${change === undefined ? 'nothing' : told(change)}`,
        );
        return false;
      }
      this.#checkBefore(event.prevKv, change);
    }
    if (expected.length > events.length)
      violated(`${name}: of revision ${last} only ${events.length} events came, not ${told(expected[events.length]!)}`);
    this.#seen = last;
    return true;
  }

  #checkBefore(prevKv: KeyValue | undefined, change: Change): void {
    const { violated, name, log } = this.#deps;
    if (prevKv === undefined) {
      if (change.before !== undefined && change.revision - 1 >= log.compactionAsked)
        violated(`${name}: ${told(change)} came without what was before`);
    } else if (!sameKv(kvOf(prevKv), change.before)) violated(`${name}: ${told(change)} came with another before`);
  }

  #expected(upTo: number): Change[] {
    const { key, end, log } = this.#deps;
    const wanted = (each: string) => (end === undefined ? each === key : each >= key && each < end);
    return log.changes(this.#seen, upTo, wanted);
  }
}

type WireEvent = WatchResponse['events'][number];

function matches(event: WireEvent, change: Change): boolean {
  if (event.type === Event_EventType.DELETE)
    return change.kv === undefined && event.kv!.modRevision === change.revision && keyOf(event) === change.key;
  return sameKv(kvOf(event.kv!), change.kv);
}

const keyOf = (event: WireEvent) => Buffer.from(event.kv!.key).toString('latin1');

function eventChange(event: WireEvent): {
  readonly revision: number;
  readonly key: string;
  readonly kv: Kv | undefined;
} {
  const kv = event.type === Event_EventType.DELETE ? undefined : kvOf(event.kv!);
  return { revision: event.kv!.modRevision, key: keyOf(event), kv };
}

function told({
  revision,
  key,
  kv,
}: {
  readonly revision: number;
  readonly key: string;
  readonly kv: Kv | undefined;
}): string {
  return `${revision}: ${kv === undefined ? `delete ${key}` : `put ${key} ${kv.value}`}`;
}
