/**
 * Holes that upstream's releases had, each by the name it was published under: what an answer must never be. Some are open in the 3.5.16
 * that the shared suite runs beside ours, so they are asked of ours alone.
 */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { etcdErrorMessage, isEtcdError } from '#api-etcd/errors.ts';
import {
  AlarmRequest,
  Auth,
  AuthUserAddRequest,
  Cluster,
  CompactionRequest,
  DeleteRangeRequest,
  HashKVRequest,
  KV,
  Lease,
  LeaseGrantRequest,
  Maintenance,
  PutRequest,
  RangeRequest,
  type RequestOp,
  TxnRequest,
  Watch,
  WatchCreateRequest,
  type WatchResponse,
} from '#api-etcd/gen/rpc.ts';
import { systemClock } from '#host/clock.ts';
import type { CallOptions } from '#rpc/call.ts';
import { seededPrng } from '#std/prng.ts';
import { MemoryDisk } from '#storage/memory-disk.ts';
import { startEtcd } from '../start.ts';

const timeout = 20_000;
const bytes = (text: string) => Buffer.from(text);
const disk = new MemoryDisk();

const denied = (error: unknown) => isEtcdError(error, 'permissionDenied');
const nobody = (error: unknown) => isEtcdError(error, 'userEmpty');

const readOp = (key: string): RequestOp => ({
  request: { case: 'requestRange', value: RangeRequest.create({ key: bytes(key) }) },
});
const putOp = (key: string, more: Partial<PutRequest> = {}): RequestOp => ({
  request: { case: 'requestPut', value: PutRequest.create({ key: bytes(key), ...more }) },
});
const deleteOp = (key: string, prevKv = false): RequestOp => ({
  request: { case: 'requestDeleteRange', value: DeleteRangeRequest.create({ key: bytes(key), prevKv }) },
});
const txnOp = (request: Partial<TxnRequest>): RequestOp => ({
  request: { case: 'requestTxn', value: TxnRequest.create(request) },
});

describe('advisories', { timeout }, async () => {
  const etcd = await startEtcd({
    config: { dataDir: 'data', bcryptCost: 4 },
    deps: { clock: systemClock, prng: seededPrng(7), disk, log: () => {} },
  });
  const channel = etcd.connect();
  after(async () => {
    await channel[Symbol.asyncDispose]();
    await etcd[Symbol.asyncDispose]();
  });
  const { methods } = Auth;
  const add = (name: string) =>
    channel.unary(methods.userAdd, AuthUserAddRequest.create({ name, password: secretOf(name) }));
  const secretOf = (name: string) => `the password of ${name}`;
  const as = async (name: string): Promise<CallOptions> => {
    const { token } = await channel.unary(methods.authenticate, { name, password: secretOf(name) });
    return { metadata: [['token', token]] };
  };
  for (const name of ['root', 'writer', 'reader']) await add(name);
  await channel.unary(methods.userGrantRole, { user: 'root', role: 'root' });
  for (const [role, permType] of [
    ['reader', 0],
    ['writer', 1],
  ] as const) {
    await channel.unary(methods.roleAdd, { name: role });
    for (const key of ['w', 'z'])
      await channel.unary(methods.roleGrantPermission, {
        name: role,
        perm: { permType, key: bytes(key), rangeEnd: bytes('') },
      });
    await channel.unary(methods.userGrantRole, { user: role, role });
  }
  for (const key of ['a', 'w', 'z'])
    await channel.unary(KV.methods.put, PutRequest.create({ key: bytes(key), value: bytes('secret') }));
  await channel.unary(Lease.methods.leaseGrant, LeaseGrantRequest.create({ id: 5n, ttl: 600 }));
  await channel.unary(KV.methods.put, PutRequest.create({ key: bytes('a'), lease: 5n }));
  await channel.unary(methods.authEnable, {});
  const [root, writer, reader] = [await as('root'), await as('writer'), await as('reader')];
  const txn = (success: readonly RequestOp[], options: CallOptions) =>
    channel.unary(KV.methods.txn, TxnRequest.create({ success: [...success] }), options);

  test('CVE-2026-33413: without a token nothing is shown and nothing changed', async () => {
    const calls = {
      alarms: () => channel.unary(Maintenance.methods.alarm, AlarmRequest.create()),
      raise: () => channel.unary(Maintenance.methods.alarm, AlarmRequest.create({ action: 1, alarm: 1 })),
      compact: () => channel.unary(KV.methods.compact, CompactionRequest.create({ revision: 2 })),
      grant: () => channel.unary(Lease.methods.leaseGrant, LeaseGrantRequest.create({ ttl: 60 })),
      revoke: () => channel.unary(Lease.methods.leaseRevoke, { id: 5n }),
      timeToLive: () => channel.unary(Lease.methods.leaseTimeToLive, { id: 5n, keys: false }),
      leases: () => channel.unary(Lease.methods.leaseLeases, {}),
      members: () => channel.unary(Cluster.methods.memberList, { linearizable: false }),
      status: () => channel.unary(Maintenance.methods.status, {}),
      hash: () => channel.unary(Maintenance.methods.hashKV, HashKVRequest.create()),
      defragment: () => channel.unary(Maintenance.methods.defragment, {}),
      moveLeader: () => channel.unary(Maintenance.methods.moveLeader, { targetID: 1n }),
    };
    for (const [name, call] of Object.entries(calls)) await assert.rejects(call(), nobody, name);
    await using snapshot = channel.open(Maintenance.methods.snapshot);
    snapshot.send({});
    snapshot.closeSend();
    await assert.rejects(snapshot.messages[Symbol.asyncIterator]().next(), nobody);
    await using keepAlive = channel.open(Lease.methods.leaseKeepAlive);
    keepAlive.send({ id: 5n });
    await assert.rejects(keepAlive.messages[Symbol.asyncIterator]().next(), nobody);
  });

  test('CVE-2026-33413: what needs an administrator is refused to everybody else', async () => {
    const calls = {
      raise: () => channel.unary(Maintenance.methods.alarm, AlarmRequest.create({ action: 1, alarm: 1 }), writer),
      disarm: () => channel.unary(Maintenance.methods.alarm, AlarmRequest.create({ action: 2, alarm: 1 }), writer),
      compact: () => channel.unary(KV.methods.compact, CompactionRequest.create({ revision: 2 }), writer),
      hash: () => channel.unary(Maintenance.methods.hashKV, HashKVRequest.create(), writer),
      defragment: () => channel.unary(Maintenance.methods.defragment, {}, writer),
      moveLeader: () => channel.unary(Maintenance.methods.moveLeader, { targetID: 1n }, writer),
    };
    for (const [name, call] of Object.entries(calls)) await assert.rejects(call(), denied, name);
    await channel.unary(Maintenance.methods.alarm, AlarmRequest.create(), writer);
    await channel.unary(Cluster.methods.memberList, { linearizable: false }, writer);
    await channel.unary(KV.methods.compact, CompactionRequest.create({ revision: 2 }), root);
  });

  test('CVE-2026-33343: operations and comparisons of inner transactions are checked, on every branch', async () => {
    for (const op of [
      txnOp({ success: [readOp('a')] }),
      txnOp({ failure: [readOp('a')] }),
      txnOp({ success: [putOp('a')] }),
      txnOp({ failure: [deleteOp('a')] }),
      txnOp({ success: [txnOp({ failure: [txnOp({ success: [putOp('a')] })] })] }),
      txnOp({
        compare: [
          {
            key: bytes('a'),
            rangeEnd: bytes(''),
            target: 3,
            result: 0,
            targetUnion: { case: 'value', value: bytes('s') },
          },
        ],
        success: [putOp('w')],
      }),
    ])
      await assert.rejects(txn([putOp('z'), op], writer), denied);
    await txn([txnOp({ success: [putOp('w')] })], writer);
  });

  test('GHSA-xg4h-6gfc-h4m8: permission for one key is none for everything from that key on', async () => {
    const first = async (key: string, rangeEnd: string) => {
      await using call = channel.open(Watch.methods.watch, reader);
      const value = WatchCreateRequest.create({ key: bytes(key), rangeEnd: bytes(rangeEnd) });
      call.send({ requestUnion: { case: 'createRequest', value } });
      return (await call.messages[Symbol.asyncIterator]().next()).value as WatchResponse;
    };
    assert.equal((await first('w', '')).canceled, false);
    for (const end of ['\0', 'x', 'w\0\0']) {
      const { canceled, watchId, cancelReason } = await first('w', end);
      assert.ok(canceled, JSON.stringify(end));
      assert.equal(watchId, -1);
      assert.equal(cancelReason, `rpc error: code = PermissionDenied desc = ${etcdErrorMessage('permissionDenied')}`);
    }
    for (const end of ['\0', 'x'])
      await assert.rejects(
        channel.unary(KV.methods.range, RangeRequest.create({ key: bytes('w'), rangeEnd: bytes(end) }), reader),
        denied,
      );
  });

  test('PR 21681: prev_kv of a put or delete inside a transaction reads, and needs permission to', async () => {
    await assert.rejects(txn([putOp('w', { prevKv: true })], writer), denied);
    await assert.rejects(txn([deleteOp('w', true)], writer), denied);
    await assert.rejects(txn([txnOp({ success: [deleteOp('w', true)] })], writer), denied);
    await assert.rejects(
      channel.unary(KV.methods.put, PutRequest.create({ key: bytes('w'), prevKv: true }), writer),
      denied,
    );
  });

  test('PR 21685: a key hung on a lease, also inside a transaction, must not give power over the other keys', async () => {
    await assert.rejects(txn([putOp('w', { lease: 5n })], writer), denied);
    await assert.rejects(txn([txnOp({ failure: [putOp('w', { lease: 5n })] })], writer), denied);
    await assert.rejects(
      channel.unary(KV.methods.put, PutRequest.create({ key: bytes('w'), lease: 5n }), writer),
      denied,
    );
    await assert.rejects(channel.unary(Lease.methods.leaseRevoke, { id: 5n }, writer), denied);
    await using keepAlive = channel.open(Lease.methods.leaseKeepAlive, writer);
    keepAlive.send({ id: 5n });
    await assert.rejects(keepAlive.messages[Symbol.asyncIterator]().next(), denied);
  });

  test('the keys of a lease are seen by those who may read them', async () => {
    await assert.rejects(channel.unary(Lease.methods.leaseTimeToLive, { id: 5n, keys: true }, reader), denied);
    await assert.rejects(channel.unary(Lease.methods.leaseLeases, {}, reader), denied);
    const { keys } = await channel.unary(Lease.methods.leaseTimeToLive, { id: 5n, keys: true }, root);
    assert.deepEqual(keys.map(String), ['a']);
  });

  test('CVE-2021-28235: no password is written to the log', async () => {
    await channel.unary(
      methods.userChangePassword,
      { name: 'reader', password: secretOf('later'), hashedPassword: '' },
      root,
    );
    let written = 0;
    for (const name of await disk.list('data/member/wal')) {
      const content = (await disk.read(`data/member/wal/${name}`))!;
      written += content.length;
      for (const user of ['root', 'writer', 'reader', 'later'])
        assert.ok(!content.includes(secretOf(user)), `the password of ${user}`);
    }
    assert.ok(written > 0);
  });

  test('a token of an account that was deleted, or whose password changed, is no token', async () => {
    await assert.rejects(channel.unary(KV.methods.range, RangeRequest.create({ key: bytes('w') }), reader), (error) =>
      isEtcdError(error, 'invalidAuthToken'),
    );
  });
});
