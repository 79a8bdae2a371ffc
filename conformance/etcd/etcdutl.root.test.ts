/** Our etcdutl on folders of the reference and of ours, stopped: what it says, and that the reference starts on what it leaves. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { HashKVRequest, Maintenance } from '#api-etcd/gen/rpc.ts';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { connectRpc } from '#rpc/client.ts';
import { startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { parseTarget } from '#transport/dial.ts';
import { etcdutl } from './run-etcdutl.ts';

const timeout = 90_000;
const wherry = new URL('../../bin/wherry', import.meta.url).pathname;
const commands = { reference: [referenceBinary('etcd-server', 'etcd')], ours: [wherry, 'etcd'] };

for (const [who, command] of Object.entries(commands))
  test(`hashkv, defrag, migrate: ${who}`, { timeout }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdutl-'));
    const data = join(folder, 'data');
    const during = async (start: readonly string[], write: boolean) => {
      await using server = await startEtcdProcess({ command: start, dataDir: data });
      await using channel = connectRpc({ target: parseTarget(server.clientUrl), clock: systemClock });
      const client = createEtcdClient(channel, systemClock);
      for (let i = 0; write && i < 300; i++)
        await client.put({ key: Buffer.from(`k${i}`), value: Buffer.alloc(4000, i) });
      if (write) {
        await client.deleteRange({ key: Buffer.from('k'), rangeEnd: Buffer.from('k9') });
        const { header } = await client.put({ key: Buffer.from('last') });
        await client.compact({ revision: header!.revision, physical: true });
        assert.equal((await etcdutl('defrag', '--data-dir', data)).code, 1, 'a folder that is in use is left alone');
      }
      const answer = await channel.unary(Maintenance.methods.hashKV, HashKVRequest.create());
      return { hash: answer.hash, revision: answer.header!.revision };
    };
    try {
      const { hash, revision } = await during(command, true);
      const db = join(data, 'member/snap/db');
      assert.equal((await etcdutl('hashkv', db)).stdout, `${hash}, ${revision}, ${revision}\n`);
      assert.equal(
        (await etcdutl('hashkv', db, '-w', 'json')).stdout,
        `${JSON.stringify({ hash, hashRevision: revision, compactRevision: revision })}\n`,
      );
      const before = statSync(db).size;
      const defragmented = await etcdutl('defrag', '--data-dir', data);
      assert.equal(defragmented.code, 0);
      assert.match(defragmented.stderr, /"msg":"finished defragmenting directory","path":".*\/member\/snap\/db"/);
      assert.ok(statSync(db).size <= before);
      assert.ok(statSync(db).size < 1 << 20);
      for (const version of ['3.6', '3.6', '3.5'])
        assert.equal((await etcdutl('migrate', '--data-dir', data, '--target-version', version)).code, 0);
      for (const version of ['x', '3', '3.4', '9.9'])
        assert.equal((await etcdutl('migrate', '--data-dir', data, '--target-version', version)).code, 1, version);
      assert.equal((await etcdutl('migrate', '--data-dir', data)).code, 1);
      assert.equal((await etcdutl('defrag')).code, 1);
      assert.equal((await etcdutl('hashkv')).code, 1);
      for (const start of Object.values(commands)) assert.deepEqual(await during(start, false), { hash, revision });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

test('version, completion, what is none', { timeout }, async () => {
  assert.match((await etcdutl('version')).stdout, /^etcdutl version: 3\.5.*\nAPI version: 3\.5\n$/);
  assert.match((await etcdutl('completion', 'bash')).stdout, /_etcdutl/);
  assert.equal((await etcdutl('completion', 'nope')).code, 1);
  assert.equal((await etcdutl('nope')).code, 1);
});
