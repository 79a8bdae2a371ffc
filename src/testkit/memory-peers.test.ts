/** A cut way carries nothing, and ends what is on it: a call that waits for its answer, a state that is half sent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Message, MessageType } from '#api-etcd/gen/raft.ts';
import type { PeerEvents, PeerSource } from '#etcd/peers/peer-network.ts';
import { MemoryPeers } from './memory-peers.ts';

const clusterId = 9n;
const never = new Promise<never>(() => {});

function join(peers: MemoryPeers, memberId: bigint, events: Partial<PeerEvents>, source: Partial<PeerSource> = {}) {
  const url = `http://m${memberId}:2380`;
  const transport = peers.transport([url]);
  const silent: PeerEvents = {
    receive() {},
    receiveSnapshot: () => Promise.resolve(),
    reportUnreachable() {},
    reportSnapshot() {},
    isRemoved: () => false,
    refused() {},
  };
  const host = { memberId, clusterId, events: { ...silent, ...events }, source: source as PeerSource };
  return { network: transport.connect(host), callsTo: transport.callsTo, url };
}

test('a call over a way that is cut does not begin; one that waits for its answer ends; after all is healed they go through', async () => {
  const peers = new MemoryPeers();
  const a = join(peers, 1n, {});
  let answer: Promise<number> = never;
  const asked = Promise.withResolvers<void>();
  const b = join(
    peers,
    2n,
    {},
    {
      renewLease: () => {
        asked.resolve();
        return answer;
      },
    },
  );
  const calls = a.callsTo([b.url]);
  const waiting = calls.renewLease(7n);
  await asked.promise;
  peers.cut(1n, 2n);
  await assert.rejects(waiting, /connection lost/);
  await assert.rejects(calls.renewLease(7n), /nobody at/);
  peers.heal();
  answer = Promise.resolve(5);
  assert.equal(await calls.renewLease(7n), 5);
  await b.network[Symbol.asyncDispose]();
  await assert.rejects(calls.renewLease(7n), /nobody at/);
});

test('a state that is half sent breaks off on both sides', async () => {
  const peers = new MemoryPeers();
  const told = Promise.withResolvers<boolean>();
  const a = join(peers, 1n, { reportSnapshot: (_, ok) => told.resolve(ok) });
  const received = Promise.withResolvers<unknown>();
  join(peers, 2n, {
    async receiveSnapshot(_, pages) {
      try {
        for await (const _page of pages) {
          peers.cut(1n, 2n);
          await told.promise;
        }
        received.resolve('all of it');
      } catch (error) {
        received.resolve(error);
      }
    },
  });
  const pages = async function* () {
    for (let i = 0; i < 3; i++) yield Buffer.alloc(16);
  };
  const message = Message.create({ type: MessageType.MsgSnap, from: 1n, to: 2n });
  a.network.sendSnapshot(message, { bytes: 48, pages, async [Symbol.asyncDispose]() {} });
  assert.equal(await told.promise, false);
  assert.match(String(await received.promise), /connection lost/);
});
