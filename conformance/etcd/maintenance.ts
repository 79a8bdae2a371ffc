/** Maintenance, Cluster and Auth of a single member. */

import { Health } from '#api-etcd/gen/health.ts';
import { AlarmRequest, Auth, Cluster, HashKVRequest, Maintenance, MoveLeaderRequest } from '#api-etcd/gen/rpc.ts';
import type { Scenario } from './script.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

export const maintenanceScenarios: readonly Scenario[] = [
  {
    name: 'hashkv: equal bytes give equal hashes',
    async run({ client, channel, note }) {
      // `hash_revision` is of 3.6.
      const hash = async (revision = 0) => {
        const answer = await channel.unary(Maintenance.methods.hashKV, HashKVRequest.create({ revision }));
        return { ...answer, hashRevision: 0 };
      };
      await note(hash());
      await client.put({ key: bytes('h'), value: bytes('1') });
      const { revision } = (await client.put({ key: bytes('h'), value: bytes('2') })).header!;
      await client.deleteRange({ key: bytes('h') });
      await client.put({ key: bytes('h2'), value: bytes('3') });
      for (const at of [0, revision, revision + 1, revision + 2, revision + 100]) await note(hash(at));
      await client.compact({ revision: revision + 1, physical: true });
      // At the compaction's own revision the answer is the hash that was made while it was done.
      for (const at of [0, revision, revision + 1, revision + 2]) await note(hash(at));
      await client.put({ key: bytes('h2'), value: bytes('4') });
      await note(hash());
    },
  },
  {
    name: 'alarms',
    async run({ client, channel, note }) {
      const alarm = (request: Partial<AlarmRequest>) =>
        channel.unary(Maintenance.methods.alarm, AlarmRequest.create(request)).then(({ header, alarms }) => ({
          header,
          alarms: alarms.map(({ alarm: type }) => type),
        }));
      const { header } = await channel.unary(Maintenance.methods.status, {});
      const memberID = header!.memberId;
      await note(alarm({}));
      await note(alarm({ action: 1, memberID, alarm: 1 }));
      await note(alarm({}));
      await note(client.put({ key: bytes('full') }));
      await note(client.leaseGrant({ id: 41n, ttl: 100 }));
      await note(client.deleteRange({ key: bytes('h2') }));
      await note(client.range({ key: bytes('h2') }));
      await note(alarm({ action: 2, memberID, alarm: 1 }));
      await note(alarm({ action: 2, memberID, alarm: 1 }));
      await note(client.put({ key: bytes('full') }));
    },
  },
  {
    name: 'downgrade: one minor version at a time',
    async run({ channel, note }) {
      const downgrade = (action: 0 | 1 | 2, version = '') =>
        note(channel.unary(Maintenance.methods.downgrade, { action, version }));
      for (const version of ['', 'x', '3', '3.5', '3.6', '3.3', '3.5.0', '4.4', '3.4.1.2', '3.4', '3.4.7'])
        await downgrade(0, version);
      await downgrade(2);
      // The reference would begin one and wait for its own answer in vain.
      await downgrade(1, '3.3');
    },
  },
  {
    name: 'the alarm CORRUPT: nothing is written any more, reading goes on',
    async run({ client, channel, note }) {
      const { header } = await channel.unary(Maintenance.methods.status, {});
      const memberID = header!.memberId;
      const alarm = (action: 1 | 2) =>
        channel
          .unary(Maintenance.methods.alarm, AlarmRequest.create({ action, memberID, alarm: 2 }))
          .then(() => 'done');
      await client.put({ key: bytes('corrupt'), value: bytes('1') });
      await note(alarm(1));
      await note(client.put({ key: bytes('corrupt') }));
      await note(client.deleteRange({ key: bytes('corrupt') }));
      await note(client.txn({ success: [] }));
      await note(
        client.txn({
          success: [
            {
              request: {
                case: 'requestDeleteRange',
                value: { key: bytes('corrupt'), rangeEnd: bytes(''), prevKv: false },
              },
            },
          ],
        }),
      );
      await note(client.compact({ revision: 1 << 30 }));
      await note(client.leaseGrant({ id: 61n, ttl: 100 }));
      await note(client.leaseRevoke({ id: 61n }));
      await note(client.range({ key: bytes('corrupt') }));
      await note(client.range({ key: bytes('corrupt'), serializable: true }));
      await note(alarm(2));
      await note(client.put({ key: bytes('corrupt') }));
    },
  },
  {
    name: 'the hash of the backend stays while nothing is written',
    async run({ client, channel, note }) {
      const hash = async () => (await channel.unary(Maintenance.methods.hash, {})).hash;
      const first = await hash();
      const second = await hash();
      await client.put({ key: bytes('hashed') });
      const third = await hash();
      await note(Promise.resolve({ same: first === second, changed: second !== third }));
    },
  },
  {
    name: 'health, as gRPC has it',
    async run({ channel, note }) {
      await note(channel.unary(Health.methods.check, { service: '' }));
      await note(channel.unary(Health.methods.check, { service: 'etcdserverpb.KV' }));
      for (const service of ['', 'nobody']) {
        await using call = channel.open(Health.methods.watch);
        call.send({ service });
        call.closeSend();
        await note(call.messages[Symbol.asyncIterator]().next());
      }
    },
  },
  {
    name: 'members, status, auth while it is off',
    async run({ channel, note }) {
      const { members } = await channel.unary(Cluster.methods.memberList, { linearizable: true });
      await note(
        Promise.resolve(members.map(({ name, isLearner, peerURLs }) => ({ name, isLearner, urls: peerURLs.length }))),
      );
      const { header, leader, raftIndex, raftAppliedIndex, errors } = await channel.unary(
        Maintenance.methods.status,
        {},
      );
      await note(
        Promise.resolve({
          isLeader: leader === header!.memberId,
          applied: raftIndex === raftAppliedIndex,
          errors,
          revision: header!.revision,
        }),
      );
      await note(channel.unary(Maintenance.methods.moveLeader, MoveLeaderRequest.create({ targetID: 5n })));
      await note(channel.unary(Auth.methods.authStatus, {}));
      await note(channel.unary(Auth.methods.authenticate, { name: 'root', password: 'x' }));
    },
  },
];
