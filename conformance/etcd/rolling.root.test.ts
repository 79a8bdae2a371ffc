/**
 * Members restarted and upgraded one by one under load: a client that tries again at another endpoint sees no request fail, and what it was told stays true. From ours
 * to ours, from the reference to ours, and back.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { EtcdCluster, type Kind } from '#testkit/etcd-cluster.ts';
import { RpcError } from '#wire/grpc/status.ts';

const bytes = utf8Encode;
const writersCount = 4;
/** How long a request is tried again: as long as a client library would. */
const triesMs = 15_000;
const attemptMs = 5000;

for (const [from, to] of [
  ['ours', 'ours'],
  ['reference', 'ours'],
  ['ours', 'reference'],
] as const satisfies readonly (readonly [Kind, Kind])[])
  test(`from ${from} to ${to}, member by member`, { timeout: 180_000 }, async () => {
    await using cluster = await EtcdCluster.start([from, from, from]);
    const channels = cluster.members.map((member) => cluster.channel(member));
    const clients = channels.map((channel) => createEtcdClient(channel, systemClock, attemptMs));
    let at = 0;
    /** A write that is tried again may happen twice: what is written is the same. */
    const tried = async <T>(call: (client: (typeof clients)[number]) => Promise<T>): Promise<T> => {
      const untilMs = performance.now() + triesMs;
      for (;;) {
        try {
          return await call(clients[at % clients.length]!);
        } catch (error) {
          if (!(error instanceof RpcError) || performance.now() > untilMs) throw error;
          at++;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    };
    let stopped = false;
    const acknowledged = new Array<number>(writersCount).fill(0);
    const write = async (writer: number) => {
      const key = bytes(`writer${writer}`);
      for (let number = 1; !stopped; number++) {
        await tried((client) => client.put({ key, value: bytes(`${number}`) }));
        acknowledged[writer] = number;
        const { kvs } = await tried((client) => client.range({ key }));
        assert.equal(Number(utf8Decode(kvs[0]!.value)), number);
      }
    };
    const writing = Promise.all(acknowledged.map((_, writer) => write(writer)));
    // It is awaited at the end; that it fails before is no surprise then.
    writing.catch(() => {});
    for (const member of cluster.members) {
      const before = acknowledged.reduce((sum, each) => sum + each, 0);
      await cluster.stop(member);
      member.kind = to;
      cluster.run(member, 'existing');
      await cluster.serving(member);
      // The others are not touched before this one has its part in what goes on.
      while (acknowledged.reduce((sum, each) => sum + each, 0) < before + 20 && !stopped)
        await Promise.race([writing, new Promise((resolve) => setTimeout(resolve, 50))]);
    }
    stopped = true;
    await writing;
    for (const client of clients)
      for (const [writer, number] of acknowledged.entries()) {
        const { kvs } = await client.range({ key: bytes(`writer${writer}`) });
        assert.equal(Number(utf8Decode(kvs[0]!.value)), number);
      }
    for (const channel of channels) await channel[Symbol.asyncDispose]();
  });
