/**
 * Clients that hold leases: each takes one, puts a key on it, keeps it alive for a while, and then lets it run out, or gives it back. A lease is a promise: not before its
 * time has passed since it was last renewed may its key go.
 */
import { KV, Lease, PutRequest } from '#api-etcd/gen/rpc.ts';
import { utf8Encode } from '#std/bytes.ts';
import { sleep } from '#std/clock.ts';
import { ask } from './ask.ts';
import type { SimCluster } from './cluster.ts';
import type { Operation } from './linearizability/history.ts';
import type { Input, Output } from './linearizability/store-model.ts';
import type { World } from './world/world.ts';

export interface LeaseHeld {
  readonly id: bigint;
  readonly key: string;
  readonly ttlMs: number;
  /** When the last request to renew it that was answered was sent. */
  renewedAtMs: number;
  /** It was given back, or may have been. */
  revoked: boolean;
}

/** Keys on leases begin so; nobody else deletes them. */
export const leasePrefix = 'lease/';
const clientTimeoutMs = 3000;

export async function holdLeases(deps: {
  readonly world: World;
  readonly cluster: SimCluster;
  readonly held: LeaseHeld[];
  readonly operations: Operation<Input, Output>[];
  readonly name: string;
  readonly done: () => boolean;
}): Promise<void> {
  const { world, cluster, held, operations, name, done } = deps;
  for (let number = 1; !done(); number++) {
    await sleep(world, world.between(50, 500));
    const { serving } = cluster;
    if (serving.length === 0) continue;
    const id = BigInt(name.charCodeAt(name.length - 1)) * 1_000_000n + BigInt(number);
    const ttlSeconds = world.between(2, 5);
    let sentAtMs = world.monotonicMs();
    const granted = await ask(world, world.pick(serving), clientTimeoutMs, (channel) =>
      channel.unary(Lease.methods.leaseGrant, { ttl: ttlSeconds, id }),
    );
    if (granted.kind !== 'answered') continue;
    const lease: LeaseHeld = {
      id,
      key: `${leasePrefix}${id}`,
      ttlMs: Number(granted.value.ttl) * 1000,
      renewedAtMs: sentAtMs,
      revoked: false,
    };
    held.push(lease);
    const input: Input = { kind: 'put', key: lease.key, value: String(id), lease: id };
    const call = world.nextPlace();
    const put = await ask(
      world,
      world.pick(cluster.serving.length > 0 ? cluster.serving : serving),
      clientTimeoutMs,
      (channel) =>
        channel.unary(
          KV.methods.put,
          PutRequest.create({ key: utf8Encode(lease.key), value: utf8Encode(String(id)), lease: id }),
        ),
    );
    if (put.kind !== 'refused') {
      const output = put.kind === 'answered' ? { revision: put.value.header!.revision } : undefined;
      const end = output === undefined ? Number.POSITIVE_INFINITY : world.nextPlace();
      operations.push({ input, output, call, return: end });
    }
    for (let renewals = world.between(0, 6); renewals > 0 && !done(); renewals--) {
      await sleep(world, world.between(200, Math.floor(lease.ttlMs * 0.9)));
      if (cluster.serving.length === 0) continue;
      sentAtMs = world.monotonicMs();
      const kept = await ask(world, world.pick(cluster.serving), clientTimeoutMs, async (channel) => {
        await using stream = channel.open(Lease.methods.leaseKeepAlive);
        stream.send({ id });
        for await (const answer of stream.messages) return Number(answer.ttl);
        throw new Error('no answer');
      });
      // 0 says that it is gone.
      if (kept.kind === 'answered' && kept.value > 0) lease.renewedAtMs = Math.max(lease.renewedAtMs, sentAtMs);
      if (kept.kind === 'answered' && kept.value === 0) break;
    }
    if (world.chance(250) && cluster.serving.length > 0) {
      lease.revoked = true;
      await ask(world, world.pick(cluster.serving), clientTimeoutMs, (channel) =>
        channel.unary(Lease.methods.leaseRevoke, { id }),
      );
    }
  }
}
