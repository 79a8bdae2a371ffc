/**
 * Clients that write and read a few keys through whichever member they are at, one request after the other, and write down what they asked and heard. One
 * that hears nothing does not know; it goes on at another member.
 */
import {
  Compare,
  Compare_CompareResult,
  Compare_CompareTarget,
  DeleteRangeRequest,
  KV,
  PutRequest,
  RangeRequest,
  type RequestOp,
  TxnRequest,
} from '#api-etcd/gen/rpc.ts';
import type { Channel } from '#rpc/call.ts';
import { utf8Encode } from '#std/bytes.ts';
import { type Clock, sleep } from '#std/clock.ts';
import type { Ending } from './ask.ts';
import { kvOf } from './committed-log.ts';
import type { Operation } from './linearizability/history.ts';
import type { Input, Kv, Compare as ModelCompare, Output, Write } from './linearizability/store-model.ts';
import type { Chance } from './world/chance.ts';

/** A read of the past, or of one member alone: checked against what was agreed on, not for its moment. */
export interface PastRead {
  readonly revision: number;
  readonly key: string;
  readonly end: string;
  readonly kvs: readonly Kv[];
  readonly count: number;
}

export interface Recorded {
  readonly operations: Operation<Input, Output>[];
  readonly pastReads: PastRead[];
  /** Requests that nobody knows the end of. */
  unknown: number;
  refused: number;
}

export const firstKey = 'k';
/** The first key that no client writes. */
export const endKey = 'l';
const clientTimeoutMs = 3000;
const thinkMsMax = 4;

/** Time, chance, and a place for every event among all others: simulated, or those of the machine. */
export interface ClientWorld extends Clock, Chance {
  /** Later calls get higher ones. */
  nextPlace(): number;
}

/** @template M a member, as whoever asks it knows it */
export interface ClientDeps<M> {
  readonly world: ClientWorld;
  readonly cluster: { readonly serving: readonly M[] };
  readonly ask: <T>(member: M, timeoutMs: number, call: (channel: Channel) => Promise<T>) => Promise<Ending<T>>;
  /** Where nobody sees when a revision is made, a deletion that nobody heard of is only known by a mark that is written with it. */
  readonly marksDeletions?: boolean;
  readonly recorded: Recorded;
  readonly keyCount: number;
  readonly done: () => boolean;
}

export class SimClient<M> {
  readonly #deps: ClientDeps<M>;
  readonly #name: string;
  #values = 0;
  /** What it has seen last, to write on condition of. */
  #seen: Kv | undefined;
  #revision = 1;

  constructor(deps: ClientDeps<M>, name: string) {
    this.#deps = deps;
    this.#name = name;
  }

  async run(): Promise<void> {
    const { world, cluster, done } = this.#deps;
    while (!done()) {
      const { serving } = cluster;
      if (serving.length === 0) {
        await sleep(world, 50);
        continue;
      }
      const member = world.pick(serving);
      // With one member for a while, as connections are.
      for (let left = world.between(1, 40); left > 0 && !done(); left--) {
        if (!(await this.#request(member))) break;
        if (world.chance(200)) await sleep(world, world.between(1, thinkMsMax));
      }
      await sleep(world, 1);
    }
  }

  /** @returns whether the member answered */
  #request(member: M): Promise<boolean> {
    const { world } = this.#deps;
    const drawn = world.between(0, 99);
    if (drawn < 38) return this.#put(member);
    if (drawn < 63) return this.#range(member, drawn < 57);
    if (drawn < 68) return this.#pastRange(member, true);
    if (drawn < 73) return this.#pastRange(member, false);
    if (drawn < 80) return this.#delete(member);
    return this.#txn(member);
  }

  #key(): string {
    const { world, keyCount } = this.#deps;
    return `${firstKey}${world.between(0, keyCount - 1)}`;
  }

  /** No two writes write the same. */
  #value(): string {
    return `${this.#name}-${this.#values++}`;
  }

  async #put(member: M): Promise<boolean> {
    const { world, ask } = this.#deps;
    const prevKv = world.chance(300);
    const input: Write = { kind: 'put', key: this.#key(), value: this.#value(), lease: 0n };
    return this.#record(input, () =>
      ask(member, clientTimeoutMs, async (channel) => {
        const { header, prevKv: before } = await channel.unary(KV.methods.put, { ...putOf(input), prevKv });
        return { revision: header!.revision, ...(prevKv && { previous: before && kvOf(before) }) };
      }),
    );
  }

  async #delete(member: M): Promise<boolean> {
    const { world, ask, marksDeletions = false } = this.#deps;
    const many = world.chance(100);
    const input: Write = many
      ? { kind: 'delete', key: `${firstKey}0`, end: `${firstKey}2` }
      : { kind: 'delete', key: this.#key() };
    if (marksDeletions) return this.#writeAll(member, { compares: [], success: [input, this.#mark()], failure: [] });
    return this.#record(input, () =>
      ask(member, clientTimeoutMs, async (channel) => {
        const { header, deleted } = await channel.unary(KV.methods.deleteRange, deleteOf(input));
        return { revision: header!.revision, deleted };
      }),
    );
  }

  async #range(member: M, one: boolean): Promise<boolean> {
    const { world, ask } = this.#deps;
    const limit = one || world.chance(700) ? 0 : world.between(1, 3);
    const key = one ? this.#key() : firstKey;
    const input: Input = { kind: 'range', key, ...(!one && { end: endKey }), limit };
    return this.#record(input, () =>
      ask(member, clientTimeoutMs, async (channel) => {
        const request = RangeRequest.create({
          key: utf8Encode(key),
          limit,
          ...(!one && { rangeEnd: utf8Encode(endKey) }),
        });
        const { header, kvs, count } = await channel.unary(KV.methods.range, request);
        const found = kvs.map(kvOf);
        if (found.length > 0) this.#seen = world.pick(found);
        this.#revision = Math.max(this.#revision, header!.revision);
        return { revision: header!.revision, kvs: found, count };
      }),
    );
  }

  /** Of one member, however far behind it is; or of a revision of the past. */
  async #pastRange(member: M, serializable: boolean): Promise<boolean> {
    const { world, recorded, ask } = this.#deps;
    const revision = serializable ? 0 : Math.max(1, this.#revision - world.between(0, 60));
    const ending = await ask(member, clientTimeoutMs, async (channel) => {
      const key = utf8Encode(firstKey);
      const rangeEnd = utf8Encode(endKey);
      const request = RangeRequest.create({ key, rangeEnd, serializable, revision });
      const { header, kvs, count } = await channel.unary(KV.methods.range, request);
      return { revision: revision === 0 ? header!.revision : revision, kvs: kvs.map(kvOf), count };
    });
    if (ending.kind === 'answered') recorded.pastReads.push({ key: firstKey, end: endKey, ...ending.value });
    return ending.kind !== 'unknown';
  }

  async #txn(member: M): Promise<boolean> {
    const { world } = this.#deps;
    const seen = this.#seen;
    const key = seen?.key ?? this.#key();
    const compares: ModelCompare[] =
      seen === undefined || world.chance(200)
        ? [{ key, target: world.chance(500) ? 'version' : 'create', is: 0 }]
        : world.chance(500)
          ? [{ key, target: 'mod', is: seen.modRevision }]
          : [{ key, target: 'value', is: seen.value }];
    const put = (at: string): Write => ({ kind: 'put', key: at, value: this.#value(), lease: 0n });
    const other = this.#key();
    // Two keys at one revision, where they are two.
    const success = other !== key && world.chance(400) ? [put(key), put(other)] : [put(key)];
    const failure = world.chance(300) ? [put(other)] : [];
    return this.#writeAll(member, { compares, success, failure });
  }

  #mark(): Write {
    return { kind: 'put', key: `mark/${this.#name}`, value: this.#value(), lease: 0n };
  }

  #writeAll(member: M, txn: Omit<Extract<Input, { readonly kind: 'txn' }>, 'kind'>): Promise<boolean> {
    const { ask } = this.#deps;
    const { compares, success, failure } = txn;
    return this.#record({ kind: 'txn', ...txn }, () =>
      ask(member, clientTimeoutMs, async (channel) => {
        const request = TxnRequest.create({
          compare: compares.map(compareOf),
          success: success.map(opOf),
          failure: failure.map(opOf),
        });
        const { header, succeeded } = await channel.unary(KV.methods.txn, request);
        return { revision: header!.revision, succeeded };
      }),
    );
  }

  /** @returns whether the member answered */
  async #record(input: Input, request: () => Promise<Ending<Output>>): Promise<boolean> {
    const { world, recorded } = this.#deps;
    const call = world.nextPlace();
    const ending = await request();
    const reads = input.kind === 'range';
    if (ending.kind === 'answered') {
      const { revision } = ending.value;
      this.#revision = Math.max(this.#revision, revision);
      recorded.operations.push({ input, output: ending.value, call, return: world.nextPlace() });
      return true;
    }
    if (ending.kind === 'refused') recorded.refused++;
    else {
      recorded.unknown++;
      if (!reads) recorded.operations.push({ input, output: undefined, call, return: Number.POSITIVE_INFINITY });
    }
    return false;
  }
}

function putOf(write: Write): PutRequest {
  if (write.kind !== 'put') throw new Error('no put');
  return PutRequest.create({ key: utf8Encode(write.key), value: utf8Encode(write.value), lease: write.lease });
}

function deleteOf(write: Write): DeleteRangeRequest {
  const { key, end } = write as Extract<Write, { readonly kind: 'delete' }>;
  return DeleteRangeRequest.create({ key: utf8Encode(key), ...(end !== undefined && { rangeEnd: utf8Encode(end) }) });
}

function opOf(write: Write): RequestOp {
  return write.kind === 'put'
    ? { request: { case: 'requestPut', value: putOf(write) } }
    : { request: { case: 'requestDeleteRange', value: deleteOf(write) } };
}

function compareOf({ key, target, is }: ModelCompare): Compare {
  const result = Compare_CompareResult.EQUAL;
  const at = { key: utf8Encode(key), result };
  switch (target) {
    case 'version':
      return Compare.create({
        ...at,
        target: Compare_CompareTarget.VERSION,
        targetUnion: { case: 'version', value: is as number },
      });
    case 'create':
      return Compare.create({
        ...at,
        target: Compare_CompareTarget.CREATE,
        targetUnion: { case: 'createRevision', value: is as number },
      });
    case 'mod':
      return Compare.create({
        ...at,
        target: Compare_CompareTarget.MOD,
        targetUnion: { case: 'modRevision', value: is as number },
      });
    case 'value':
      return Compare.create({
        ...at,
        target: Compare_CompareTarget.VALUE,
        targetUnion: { case: 'value', value: utf8Encode(is as string) },
      });
  }
}
