/** A continuous backup of the reference and of ours, and what is restored from it: by revision, by time, by default; started by both. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { HashKVRequest, Lease, LeaseTimeToLiveRequest, Maintenance } from '#api-etcd/gen/rpc.ts';
import { createEtcdClient, type EtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import type { Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { utf8Decode } from '#std/bytes.ts';
import { sleep } from '#std/clock.ts';
import { startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { parseTarget } from '#transport/dial.ts';
import { etcdutl } from './run-etcdutl.ts';

const timeout = 120_000;
const wherry = new URL('../../bin/wherry', import.meta.url).pathname;
const commands = { reference: [referenceBinary('etcd-server', 'etcd')], ours: [wherry, 'etcd'] };
const bytes = (text: string) => Buffer.from(text);

/** `etcdctl backup run` until disposed. */
function startBackup(clientUrl: string, folder: string, ...flags: readonly string[]) {
  const child = spawn(
    wherry,
    ['etcdctl', '--endpoints', clientUrl, 'backup', 'run', folder, '--sync-interval', '20ms', ...flags],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  const exited = once(child, 'exit');
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
    return child.exitCode;
  };
  return {
    output: () => output,
    stop,
    ended: async () => {
      await exited;
      return child.exitCode;
    },
    async [Symbol.asyncDispose]() {
      await stop('SIGKILL');
    },
  };
}

/** Resolves when the newest revision that can be restored is this one. */
async function reaches(folder: string, revision: number, backup: { output(): string }): Promise<void> {
  for (let left = 200; ; left--) {
    const { stdout, stderr } = await etcdutl('backup', 'status', folder, '-w', 'json');
    if (stdout.includes(`"last":${revision},`)) return;
    assert.ok(left > 0, `${stdout}${stderr}${backup.output()}`);
    await sleep(systemClock, 50);
  }
}

async function withServer<T>(
  command: readonly string[],
  dataDir: string,
  use: (client: EtcdClient, channel: Channel, url: string) => Promise<T>,
): Promise<T> {
  await using server = await startEtcdProcess({ command, dataDir });
  await using channel = connectRpc({ target: parseTarget(server.clientUrl), clock: systemClock });
  await using client = createEtcdClient(channel, systemClock);
  return await use(client, channel, server.clientUrl);
}

const hashAt = async (channel: Channel, revision: number) =>
  (await channel.unary(Maintenance.methods.hashKV, HashKVRequest.create({ revision }))).hash;

for (const [who, command] of Object.entries(commands))
  test(`everything, one revision, one time: what is restored is what ${who} held`, { timeout }, async () => {
    const home = mkdtempSync(join(tmpdir(), 'backup-'));
    const archive = join(home, 'archive');
    const folder = (name: string) => join(home, name);
    const restore = async (name: string, ...flags: readonly string[]) => {
      const said = await etcdutl('backup', 'restore', archive, '--data-dir', folder(name), ...flags);
      assert.equal(said.code, 0, said.stderr);
      return join(folder(name), 'member/snap/db');
    };
    const hashOf = async (db: string) => Number((await etcdutl('hashkv', db)).stdout.split(',')[0]);
    try {
      const seen = await withServer(command, folder('source'), async (client, channel, url) => {
        for (let i = 0; i < 5; i++) await client.put({ key: bytes(`before${i}`), value: bytes(`${i}`) });
        await using backup = startBackup(url, archive, '--segment-size', '3000');
        await reaches(archive, 6, backup);
        for (let i = 0; i < 100; i++) await client.put({ key: bytes(`k${i % 10}`), value: Buffer.alloc(50, i) });
        const { id } = await channel.unary(Lease.methods.leaseGrant, { ttl: 600, id: 77n });
        const put = (key: string, value: string) =>
          ({ request: { case: 'requestPut', value: { key: bytes(key), value: bytes(value), lease: id } } }) as never;
        await client.txn({ success: [put('t2', 'b'), put('t1', 'a')] });
        const { header } = await client.deleteRange({ key: bytes('k'), rangeEnd: bytes('k5') });
        const middle = header!.revision;
        await reaches(archive, middle, backup);
        const middleTime = new Date().toISOString();
        // A crash of the backup, and more while it is away: it goes on where its archive ends.
        await backup.stop('SIGKILL');
        for (let i = 0; i < 20; i++) await client.put({ key: bytes(`late${i}`), value: bytes(`${i}`) });
        await using again = startBackup(url, archive);
        await client.deleteRange({ key: bytes('before0') });
        const last = (await client.put({ key: bytes('last') })).header!.revision;
        await reaches(archive, last, again);
        assert.equal(await again.stop(), 0, again.output());
        const hashes = { middle: await hashAt(channel, middle), last: await hashAt(channel, last) };
        return { middle, middleTime, last, hashes };
      });
      assert.equal(readdirSync(archive).filter((name) => name.startsWith('base-')).length, 1, 'no second base');
      assert.ok(
        readdirSync(archive).some((name) => name.endsWith('.log')),
        'a segment was ended',
      );
      assert.equal((await etcdutl('backup', 'verify', archive)).code, 0);

      assert.equal(await hashOf(await restore('last', '--bump-revision', '0')), seen.hashes.last);
      const atMiddle = ['--bump-revision', '0', '--revision', String(seen.middle)];
      assert.equal(await hashOf(await restore('middle', ...atMiddle)), seen.hashes.middle);
      assert.equal(
        await hashOf(await restore('time', '--bump-revision', '0', '--time', seen.middleTime)),
        seen.hashes.middle,
      );

      for (const [by, start] of Object.entries(commands)) {
        await restore(`by-${by}`, '--revision', String(seen.middle));
        await withServer(start, folder(`by-${by}`), async (client, channel) => {
          const { kvs, header } = await client.range({ key: bytes('k'), rangeEnd: bytes('l') });
          assert.deepEqual(
            kvs.map(({ key }) => utf8Decode(key)),
            ['k5', 'k6', 'k7', 'k8', 'k9'],
          );
          assert.equal((await client.range({ key: bytes('late0') })).count, 0);
          assert.ok(header!.revision > seen.last + 1_000_000_000 - 1, 'past everything that was handed out');
          const { grantedTTL, keys } = await channel.unary(
            Lease.methods.leaseTimeToLive,
            LeaseTimeToLiveRequest.create({ id: 77n, keys: true }),
          );
          assert.equal(grantedTTL, 600);
          assert.deepEqual(keys.map(utf8Decode).sort(), ['t1', 't2']);
          for await (const item of client.watch({ key: bytes('k'), startRevision: seen.last })) {
            if (item.kind === 'created') continue;
            assert.equal(item.kind, 'compacted', 'who had seen later revisions reads everything again');
          }
        });
      }
      const refused = await etcdutl('backup', 'restore', archive, '--data-dir', folder('no'), '--revision', '1');
      assert.match(refused.stderr, /cannot restore revision 1, but these: 6 to \d+\n/);
      const future = await etcdutl(
        ...['backup', 'restore', archive, '--data-dir', folder('no'), '--time', '2999-01-01T00:00:00Z'],
      );
      assert.match(future.stderr, /has seen nothing after .*what there was at 2999/);
      assert.ok(!readdirSync(home).includes('no'), 'nothing left behind');

      const segment = join(archive, readdirSync(archive).find((name) => name.endsWith('.log'))!);
      const damaged = readFileSync(segment);
      damaged[200]! ^= 1;
      writeFileSync(segment, damaged);
      const found = await etcdutl('backup', 'verify', archive);
      assert.equal(found.code, 1);
      assert.ok(found.stderr.includes(`${segment}: damaged at byte `), found.stderr);
      const stopped = await etcdutl('backup', 'restore', archive, '--data-dir', folder('no'));
      assert.equal(stopped.code, 1);
      assert.ok(stopped.stderr.includes(`${segment}: damaged at byte `), stopped.stderr);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });

test('what the watch cannot get any more begins a new row with a new base, and says so; another cluster is refused', {
  timeout,
}, async () => {
  const home = mkdtempSync(join(tmpdir(), 'backup-'));
  const archive = join(home, 'archive');
  try {
    await withServer(commands.ours, join(home, 'source'), async (client, _channel, url) => {
      await client.put({ key: bytes('a') });
      {
        await using backup = startBackup(url, archive);
        await reaches(archive, 2, backup);
        await client.put({ key: bytes('b') });
        await reaches(archive, 3, backup);
        assert.deepEqual(await etcdutl('backup', 'verify', archive).then(({ stderr, code }) => ({ stderr, code })), {
          stderr: '',
          code: 0,
        });
        await using second = startBackup(url, archive);
        assert.equal(await second.ended(), 1, 'one at a time');
      }
      for (let i = 0; i < 5; i++) await client.put({ key: bytes('c') });
      await client.compact({ revision: 7 });
      await using backup = startBackup(url, archive);
      await reaches(archive, 8, backup);
      assert.match(backup.output(), /compacted before the archive, at 3, had seen them: .*a new base is taken/);
      assert.equal(await backup.stop(), 0);
      const said = await etcdutl('backup', 'restore', archive, '--data-dir', join(home, 'x'), '--revision', '5');
      assert.match(said.stderr, /cannot restore revision 5, but these: 2 to 3, 8\n/);
      const restore = (name: string, ...flags: readonly string[]) =>
        etcdutl('backup', 'restore', archive, '--data-dir', join(home, name), '--revision', '3', ...flags);
      assert.equal((await restore('other', '--initial-cluster-token', 'other')).code, 0);
      assert.equal((await restore('gone-back', '--bump-revision', '0')).code, 0);
    });
    for (const [name, words] of [
      ['other', /archive is of cluster/],
      ['gone-back', /was restored from a backup/],
    ] as const)
      await withServer(
        [...commands.ours, '--initial-cluster-token', name],
        join(home, name),
        async (_client, _channel, url) => {
          await using backup = startBackup(url, archive);
          assert.equal(await backup.ended(), 1);
          assert.match(backup.output(), words);
        },
      );
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
