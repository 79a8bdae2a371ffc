/** A quorum lost for good, and the guided way back: survey, dry run, one member, and three again. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { EtcdCluster, type MemberProcess } from '#testkit/etcd-cluster.ts';
import { RpcError } from '#wire/grpc/status.ts';

const run = promisify(execFile);
const wherry = new URL('../../bin/wherry', import.meta.url).pathname;
const bytes = utf8Encode;

test('two of three members are gone for good: recover names the best copy, changes nothing until it is told to, and nothing acknowledged is lost', {
  timeout: 120_000,
}, async () => {
  await using cluster = await EtcdCluster.start(['ours', 'ours', 'ours']);
  const [a, b, c] = cluster.members as [MemberProcess, MemberProcess, MemberProcess];
  for (let i = 0; i < 30; i++) await put(cluster, a, `k${i}`, `${i}`);
  // One member misses the end.
  await cluster.stop(c, 'SIGKILL');
  for (let i = 0; i < 30; i++) await put(cluster, cluster.members[i % 2]!, `late${i}`, `${i}`);
  await cluster.stop(a, 'SIGKILL');
  await cluster.stop(b, 'SIGKILL');

  const before = [b, c].map(({ dataDir }) => digest(dataDir));
  const plan = await run(wherry, ['etcdutl', 'recover', c.dataDir, b.dataDir]);
  assert.match(plan.stdout, new RegExp(`\\* *\\| *${b.dataDir} `));
  assert.match(plan.stdout, /2 of 3 members are a quorum/);
  assert.match(plan.stdout, /removes: m0, m2/);
  assert.match(plan.stdout, /Nothing has been changed/);
  assert.deepEqual(
    [b, c].map(({ dataDir }) => digest(dataDir)),
    before,
  );
  await assert.rejects(run(wherry, ['etcdutl', 'recover', '--yes', c.dataDir, b.dataDir]), /are a quorum/);
  // The same folder twice is one member.
  assert.doesNotMatch((await run(wherry, ['etcdutl', 'recover', b.dataDir, b.dataDir])).stdout, /are a quorum/);
  assert.deepEqual(
    [b, c].map(({ dataDir }) => digest(dataDir)),
    before,
  );
  await assert.rejects(run(wherry, ['etcdutl', 'recover', join(cluster.folder, 'nothing')]), /holds no member/);

  const done = await run(wherry, ['etcdutl', 'recover', '--yes', b.dataDir]);
  assert.match(done.stdout, /is now a cluster of one/);
  cluster.run(b, 'new');
  await cluster.serving(b);
  for (let i = 0; i < 30; i++) {
    assert.equal(await get(cluster, b, `k${i}`), `${i}`);
    assert.equal(await get(cluster, b, `late${i}`), `${i}`);
  }
  rmSync(a.dataDir, { recursive: true });
  rmSync(c.dataDir, { recursive: true });
  cluster.members.splice(0, 3, b);
  const again = await cluster.add('ours', b);
  await put(cluster, again, 'after', 'recovery');
  assert.equal(await get(cluster, b, 'after'), 'recovery');
  await assert.rejects(run(wherry, ['etcdutl', 'recover', b.dataDir]), /lock|running|another/i);
});

/** Of every file below a folder; the lock, which is only held, does not count. */
function digest(folder: string): string {
  const hash = createHash('sha256');
  for (const name of (readdirSync(folder, { recursive: true }) as string[]).sort()) {
    if (name.endsWith('lock')) continue;
    try {
      hash.update(name).update(readFileSync(join(folder, name)));
    } catch {
      // A folder.
    }
  }
  return hash.digest('hex');
}

/** As a client that tries again: leaders change when members die. */
async function put(cluster: EtcdCluster, member: MemberProcess, key: string, value: string): Promise<void> {
  await using channel = cluster.channel(member);
  const client = createEtcdClient(channel, systemClock);
  for (let left = 10; ; left--)
    try {
      await client.put({ key: bytes(key), value: bytes(value) });
      return;
    } catch (error) {
      if (!(error instanceof RpcError) || left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
}

async function get(cluster: EtcdCluster, member: MemberProcess, key: string): Promise<string | undefined> {
  await using channel = cluster.channel(member);
  const { kvs } = await createEtcdClient(channel, systemClock).range({ key: bytes(key) });
  return kvs[0] && utf8Decode(kvs[0].value);
}
