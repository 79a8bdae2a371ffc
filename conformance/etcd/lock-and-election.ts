/** The Lock and Election services: waiting in line, leases that run out, callers that go away. */
import {
  CampaignRequest,
  Election,
  LeaderKey,
  type LeaderResponse,
  ProclaimRequest,
  ResignRequest,
} from '#api-etcd/gen/election.ts';
import { Lock, LockRequest, UnlockRequest } from '#api-etcd/gen/lock.ts';
import { KV, RangeRequest } from '#api-etcd/gen/rpc.ts';
import type { Scenario } from './script.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

export const lockAndElectionScenarios: readonly Scenario[] = [
  {
    name: 'lock: one after the other',
    async run({ channel, client, note, pause }) {
      const lock = (name: string, lease: bigint, signal?: AbortSignal) =>
        channel.unary(
          Lock.methods.lock,
          LockRequest.create({ name: bytes(name), lease }),
          signal === undefined ? undefined : { signal },
        );
      const unlock = (key: string) => channel.unary(Lock.methods.unlock, UnlockRequest.create({ key: bytes(key) }));
      const held = () =>
        channel.unary(KV.methods.range, RangeRequest.create({ key: bytes('lk/'), rangeEnd: bytes('lk0') }));
      for (const id of [81n, 82n, 83n, -84n]) await client.leaseGrant({ id, ttl: 600 });
      await note(lock('lk', 81n));
      await note(lock('lk', 81n));
      const second = lock('lk', 82n);
      await pause(50);
      const gone = new AbortController();
      const third = lock('lk', 83n, gone.signal).catch(() => 'cancelled');
      await pause(50);
      await note(held());
      gone.abort();
      await note(third);
      await pause(50);
      await note(held());
      await note(unlock('lk/51'));
      await note(second);
      const fourth = lock('lk', -84n);
      await pause(50);
      await client.leaseRevoke({ id: 82n });
      await note(fourth);
      await note(unlock('lk/52'));
      await note(held());
      await note(unlock('lk/-54'));
      await note(lock('lk', 99n));
      await note(lock('', 81n));
      await note(unlock(''));
      await note(unlock('never'));
      const left = await lock('left', 0n);
      await note(Promise.resolve(/^left\/[0-9a-f]+$/.test(Buffer.from(left.key).toString('latin1'))));
      await note(unlock(Buffer.from(left.key).toString('latin1')).then(() => 'unlocked'));
    },
  },
  {
    name: 'lock: a lease that is revoked while its owner waits',
    async run({ channel, client, note, pause }) {
      for (const id of [85n, 86n]) await client.leaseGrant({ id, ttl: 600 });
      const lock = (lease: bigint) =>
        channel.unary(Lock.methods.lock, LockRequest.create({ name: bytes('ex'), lease }));
      await note(lock(85n));
      const waiting = lock(86n);
      await pause(50);
      await client.leaseRevoke({ id: 86n });
      await client.leaseRevoke({ id: 85n });
      await note(waiting);
    },
  },
  {
    name: 'election: campaign, proclaim, observe, resign',
    async run({ channel, client, note, pause }) {
      const campaign = (lease: bigint, value: string) =>
        channel.unary(
          Election.methods.campaign,
          CampaignRequest.create({ name: bytes('el'), lease, value: bytes(value) }),
        );
      const proclaim = (leader: LeaderKey | undefined, value: string) =>
        channel.unary(Election.methods.proclaim, ProclaimRequest.create({ leader, value: bytes(value) }));
      const resign = (leader: LeaderKey | undefined) =>
        channel.unary(Election.methods.resign, ResignRequest.create({ leader }));
      const leader = (name = 'el') => channel.unary(Election.methods.leader, { name: bytes(name) });
      for (const id of [91n, 92n]) await client.leaseGrant({ id, ttl: 600 });
      await note(leader());
      await note(proclaim(undefined, 'x'));
      await note(resign(undefined));
      await note(proclaim(LeaderKey.create({ name: bytes('el'), key: bytes('el/5b'), rev: 5, lease: 91n }), 'x'));
      await using observing = channel.open(Election.methods.observe);
      observing.send({ name: bytes('el') });
      observing.closeSend();
      const observed = observing.messages[Symbol.asyncIterator]();
      const next = async () => {
        const { value } = await observed.next();
        await note(Promise.resolve(value as LeaderResponse));
      };
      await pause(50);
      const first = campaign(91n, 'first');
      await note(first);
      await next();
      await note(leader());
      const second = campaign(92n, 'second');
      await pause(50);
      await note(proclaim((await first).leader, 'still first'));
      await next();
      await note(campaign(91n, 'again'));
      await next();
      await note(resign((await first).leader));
      await note(second);
      await next();
      await note(proclaim((await first).leader, 'late'));
      await note(resign((await first).leader));
      await client.leaseRevoke({ id: 92n });
      await note(leader());
      await note(campaign(99n, 'no lease'));
    },
  },
];
