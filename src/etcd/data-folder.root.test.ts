/** A data folder moves both ways between our member and the reference, and nothing of it changes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isEtcdError } from '#api-etcd/errors.ts';
import { Cluster, HashKVRequest, Maintenance } from '#api-etcd/gen/rpc.ts';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { hostDisk } from '#host/disk.ts';
import { systemPrng } from '#host/random.ts';
import type { Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { parseTarget } from '#transport/dial.ts';
import { startEtcd } from './start.ts';

const bytes = utf8Encode;

/** Runs `work` on a member in `folder` and stops it cleanly. */
type Run = <T>(folder: string, work: (channel: Channel) => Promise<T>) => Promise<T>;

const ours: Run = async (folder, work) => {
  await using etcd = await startEtcd({
    config: { dataDir: folder },
    deps: { clock: systemClock, prng: systemPrng(), disk: hostDisk, log: (message) => assert.fail(message) },
  });
  await using channel = etcd.connect();
  return await work(channel);
};

const reference: Run = async (folder, work) => {
  await using server = await startEtcdProcess({
    command: [referenceBinary('etcd-server', 'etcd')],
    dataDir: folder,
    flags: ['--snapshot-count', '20'],
  });
  await using channel = connectRpc({ target: parseTarget(server.clientUrl), clock: systemClock });
  return await work(channel);
};

/** Everything that must stay: keys with their revisions, leases' keys, the hash of the whole history. */
async function stateOf(channel: Channel): Promise<unknown> {
  const client = createEtcdClient(channel, systemClock);
  const all = await client.range({ key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) });
  const { hash, compactRevision } = await channel.unary(Maintenance.methods.hashKV, HashKVRequest.create());
  const { members } = await channel.unary(Cluster.methods.memberList, { linearizable: true });
  return {
    revision: all.header!.revision,
    ids: [all.header!.clusterId, all.header!.memberId],
    hash,
    compactRevision: Math.max(compactRevision, 0),
    members: members.map(({ id, name }) => [id, name]),
    kvs: all.kvs.map(({ key, value, ...rest }) => ({ ...rest, key: utf8Decode(key), value: utf8Decode(value) })),
  };
}

/** Some of everything: overwrites, deletes, leases, transactions, a compaction. */
async function write(channel: Channel, round: number): Promise<void> {
  const client = createEtcdClient(channel, systemClock);
  const id = BigInt(100 + round);
  await client.leaseGrant({ id, ttl: 5000 });
  for (let i = 0; i < 12; i++)
    await client.put({ key: bytes(`k${i}`), value: bytes(`${round}/${i}`), lease: i % 5 === 0 ? id : 0n });
  const { header } = await client.deleteRange({ key: bytes('k2'), rangeEnd: bytes('k4') });
  await client.compact({ revision: header!.revision - 3, physical: true });
  for (let i = 0; i < 25; i++) await client.put({ key: bytes(`r${round}`), value: bytes(`${i}`) });
  await client.deleteRange({ key: bytes('k5') });
}

test('the log is cut behind a checkpoint, and both go on from there', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'etcd-folder-'));
  try {
    const before = await ours(folder, async (channel) => {
      await write(channel, 0);
      const client = createEtcdClient(channel, systemClock);
      const value = Buffer.alloc(1 << 20, 'v');
      for (let i = 0; i < 140; i++) await client.put({ key: bytes(`large${i % 3}`), value });
      await client.compact({ revision: (await client.put({ key: bytes('last') })).header!.revision });
      return await stateOf(channel);
    });
    const logs = readdirSync(join(folder, 'member/wal')).filter((name) => name.endsWith('.wal'));
    assert.ok(!logs.some((name) => name.startsWith('0000000000000000-')), `${logs}`);
    for (const run of [ours, reference, ours]) assert.deepEqual(await run(folder, stateOf), before);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a snapshot of ours restores with the reference tool', {
  timeout: 60_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'etcd-folder-'));
  const save = async (channel: Channel, path: string) => {
    const blobs: Uint8Array[] = [];
    const call = channel.open(Maintenance.methods.snapshot);
    call.send({});
    call.closeSend();
    for await (const { blob } of call.messages) blobs.push(blob);
    const digest = blobs.pop()!;
    const file = Buffer.concat(blobs);
    assert.deepEqual(createHash('sha256').update(file).digest(), Buffer.from(digest));
    // The digest stays at the end, as the tools expect it.
    writeFileSync(path, Buffer.concat([file, digest]));
  };
  try {
    const path = join(folder, 'ours.snapshot');
    const before = await ours(join(folder, 'first'), async (channel) => {
      await write(channel, 0);
      const client = createEtcdClient(channel, systemClock);
      for (let i = 0; i < 3000; i++) await client.put({ key: bytes(`many${i}`), value: bytes(`value ${i}`) });
      await save(channel, path);
      return (await stateOf(channel)) as { readonly kvs: readonly unknown[]; readonly hash: number };
    });
    const utility = referenceBinary('etcd-server', 'etcdutl');
    const status = JSON.parse(execFileSync(utility, ['snapshot', 'status', path, '-w', 'json'], { encoding: 'utf8' }));
    assert.equal(status.totalKey > 3000, true);
    execFileSync(utility, ['snapshot', 'restore', path, '--data-dir', join(folder, 'restored')], { stdio: 'pipe' });
    for (const run of [reference, ours]) {
      const after = (await run(join(folder, 'restored'), stateOf)) as typeof before;
      assert.deepEqual(after.kvs, before.kvs);
      assert.equal(after.hash, before.hash);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a snapshot of the reference restores with our tool, with revisions that never come back', {
  timeout: 60_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'etcd-folder-'));
  const path = join(folder, 'snapshot');
  const wherry = new URL('../../bin/wherry', import.meta.url).pathname;
  const theirTool = referenceBinary('etcd-server', 'etcdutl');
  try {
    const before = await reference(join(folder, 'first'), async (channel) => {
      await write(channel, 0);
      const blobs: Uint8Array[] = [];
      const call = channel.open(Maintenance.methods.snapshot);
      call.send({});
      call.closeSend();
      for await (const { blob } of call.messages) blobs.push(blob);
      writeFileSync(path, Buffer.concat(blobs));
      return (await stateOf(channel)) as {
        readonly kvs: readonly unknown[];
        readonly hash: number;
        readonly revision: number;
      };
    });
    for (const format of ['simple', 'json', 'table'])
      assert.equal(
        execFileSync(wherry, ['etcdutl', 'snapshot', 'status', path, '-w', format], { encoding: 'utf8' }),
        execFileSync(theirTool, ['snapshot', 'status', path, '-w', format], { encoding: 'utf8' }),
      );
    const plain = ['etcdutl', 'snapshot', 'restore', path, '--data-dir', join(folder, 'plain')];
    execFileSync(wherry, plain, { stdio: 'pipe' });
    assert.throws(() => execFileSync(wherry, plain, { stdio: 'pipe' }), 'the folder is taken');
    const bumped = ['--data-dir', join(folder, 'bumped'), '--bump-revision', '1000', '--mark-compacted'];
    execFileSync(wherry, ['etcdutl', 'snapshot', 'restore', path, ...bumped], { stdio: 'pipe' });
    for (const run of [ours, reference]) {
      const after = (await run(join(folder, 'plain'), stateOf)) as typeof before;
      assert.deepEqual(after.kvs, before.kvs);
      assert.equal(after.hash, before.hash);
      await run(join(folder, 'bumped'), async (channel) => {
        const client = createEtcdClient(channel, systemClock);
        const state = (await stateOf(channel)) as typeof before;
        assert.deepEqual(state.kvs, before.kvs);
        assert.equal(state.revision, before.revision + 1000);
        await assert.rejects(client.range({ key: bytes('k1'), revision: before.revision }), (error) =>
          isEtcdError(error, 'compacted'),
        );
      });
    }
    writeFileSync(path, readFileSync(path).fill(1, 5000, 5010));
    assert.throws(() =>
      execFileSync(wherry, ['etcdutl', 'snapshot', 'restore', path, '--data-dir', join(folder, 'no')], {
        stdio: 'pipe',
      }),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

for (const [name, runs] of Object.entries<readonly Run[]>({
  'ours, then the reference, then ours': [ours, reference, ours],
  'the reference, then ours, then the reference': [reference, ours, reference],
}))
  test(name, { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'etcd-folder-'));
    try {
      let before: unknown;
      for (const [round, run] of runs.entries())
        await run(join(folder, 'data'), async (channel) => {
          if (before !== undefined) assert.deepEqual(await stateOf(channel), before);
          await write(channel, round);
          before = await stateOf(channel);
        });
      for (const run of [ours, reference]) assert.deepEqual(await run(join(folder, 'data'), stateOf), before);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
