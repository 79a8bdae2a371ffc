/** The Election service: who has come first under a name leads, and says something to all who observe, as long as their lease lives. */
import {
  CampaignResponse,
  Election,
  type LeaderKey,
  LeaderResponse,
  ProclaimResponse,
  ResignResponse,
} from '#api-etcd/gen/election.ts';
import { Event_EventType, type KeyValue } from '#api-etcd/gen/kv.ts';
import type { ResponseHeader } from '#api-etcd/gen/rpc.ts';
import { type BoundService, bind, type CallContext, type Channel } from '#rpc/call.ts';
import { compareBytes } from '#std/bytes.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { createdAt, getOp, keysOf, putOp, WaitingLine } from './waiting-line.ts';

/** @param channelOf this member's own services, as the caller sees them */
export function electionService(channelOf: (context: CallContext) => Channel): BoundService {
  const lineOf = (context: CallContext, name: Uint8Array) => new WaitingLine(channelOf(context), context, name);

  return bind(Election, {
    async campaign({ name: given, lease: id, value: said }, context) {
      const name = Buffer.from(given);
      const value = Buffer.from(said);
      const line = lineOf(context, name);
      return await campaign(line, { name, lease: await line.lease(id), value }, context.signal);
    },

    async proclaim({ leader: given, value }, context) {
      const leader = copied(given);
      const header = await proclaim(lineOf(context, leader.name), leader, Buffer.from(value));
      return ProclaimResponse.create({ header });
    },

    async leader({ name }, context) {
      const { header, kvs } = await lineOf(context, Buffer.from(name)).first();
      if (kvs[0] === undefined) throw new RpcError(Code.Unknown, 'election: no leader');
      return LeaderResponse.create({ header, kv: kvs[0] });
    },

    async observe({ name }, sink, context) {
      await observe(lineOf(context, Buffer.from(name)), async (header, kv) => {
        if (!sink.send(LeaderResponse.create({ header, kv }))) await sink.drained();
      });
    },

    async resign({ leader: given }, context) {
      const leader = copied(given);
      const header = await lineOf(context, leader.name).removeCreatedAt(leader.key, leader.rev);
      return ResignResponse.create({ header });
    },
  });
}

/**
 * Stands in line until everybody before has gone: then it leads. Whoever was in line already says something new.
 * @throws RpcError; when `signal` has ended it, the key is taken away again
 */
export async function campaign(
  line: WaitingLine,
  { name, lease, value }: { readonly name: Uint8Array; readonly lease: bigint; readonly value: Uint8Array },
  signal: AbortSignal,
): Promise<CampaignResponse> {
  const key = line.keyOf(lease);
  const entered = await line.txn({
    compare: [createdAt(key, 0)],
    success: [putOp(key, value, lease)],
    failure: [getOp(key)],
  });
  const own = entered.succeeded ? undefined : keysOf(entered, 0)[0]!;
  const rev = own?.createRevision ?? entered.header!.revision;
  if (own !== undefined && compareBytes(own.value, value) !== 0)
    try {
      await proclaim(line, { name, key, rev, lease }, value);
    } catch (error) {
      await line.removeCreatedAt(key, rev, { alsoWhenCancelled: true }).catch(() => {});
      throw error;
    }
  try {
    await line.turn(rev);
  } catch (error) {
    if (signal.aborted) await line.removeCreatedAt(key, rev, { alsoWhenCancelled: true }).catch(() => {});
    throw error;
  }
  return CampaignResponse.create({ header: entered.header, leader: { name, key, rev, lease } });
}

type Tell = (header: ResponseHeader, kv: KeyValue) => Promise<void>;

/** Tells of every leader, and of everything leaders say, until the watch ends. */
export async function observe(line: WaitingLine, tell: Tell): Promise<void> {
  for (;;) {
    const found = await line.first();
    const known = found.kvs[0];
    const leader =
      known === undefined ? await nextLeader(line, found.header!.revision) : { header: found.header!, kv: known };
    if (leader === undefined) return;
    await tell(leader.header, leader.kv);
    if (!(await told(line, leader.kv.key, leader.header.revision + 1, tell))) return;
  }
}

async function proclaim(
  line: WaitingLine,
  { key, rev, lease }: LeaderKey,
  value: Uint8Array,
): Promise<ResponseHeader | undefined> {
  const { succeeded, header } = await line.txn({
    compare: [createdAt(key, rev)],
    success: [putOp(key, value, lease)],
  });
  if (!succeeded) throw new RpcError(Code.Unknown, 'election: not leader');
  return header;
}

/** The first who comes, where nobody leads. */
async function nextLeader(
  line: WaitingLine,
  revision: number,
): Promise<{ readonly header: ResponseHeader; readonly kv: KeyValue } | undefined> {
  for await (const { header, events } of line.watch(undefined, revision)) {
    const kv = events.find(({ type }) => type === Event_EventType.PUT)?.kv;
    if (kv !== undefined) return { header: { ...header, revision: kv.modRevision }, kv };
  }
  return undefined;
}

/** Tells what a leader says until it leads no more. @returns false when the watch has ended before */
async function told(line: WaitingLine, key: Uint8Array, revision: number, tell: Tell): Promise<boolean> {
  for await (const { header, events } of line.watch(key, revision))
    for (const { type, kv } of events) {
      if (type === Event_EventType.DELETE) return true;
      await tell(header, kv!);
    }
  return false;
}

/** The request's bytes are the socket's only until the first wait. */
function copied(leader: LeaderKey | undefined): LeaderKey {
  if (leader === undefined) throw new RpcError(Code.Unknown, '"leader" field must be provided');
  return { ...leader, name: Buffer.from(leader.name), key: Buffer.from(leader.key) };
}
