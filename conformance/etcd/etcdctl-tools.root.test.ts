/** Verbs of our etcdctl that run on, or need two clusters: they work with the reference's server and with ours. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { type EtcdProcess, startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';

const run = promisify(execFile);
const timeout = 120_000;
const folder = mkdtempSync(join(tmpdir(), 'etcdctl-tools-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const wherry = new URL('../../bin/wherry', import.meta.url).pathname;
const commands = { reference: [referenceBinary('etcd-server', 'etcd')], ours: [wherry, 'etcd'] };

async function ctl(server: EtcdProcess, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run(wherry, ['etcdctl', '--endpoints', server.clientUrl, ...args], { timeout: 60_000 });
  return stdout;
}

for (const [source, target] of [
  ['reference', 'ours'],
  ['ours', 'reference'],
] as const)
  test(`make-mirror from ${source} to ${target}`, { timeout }, async () => {
    await using from = await startEtcdProcess({ command: commands[source], dataDir: join(folder, `from-${source}`) });
    await using to = await startEtcdProcess({ command: commands[target], dataDir: join(folder, `to-${source}`) });
    for (const key of ['/app/a', '/app/b', '/other']) await ctl(from, 'put', key, 'before');
    const mirror = spawn(wherry, [
      ...['etcdctl', '--endpoints', from.clientUrl],
      ...['make-mirror', '--prefix', '/app/', '--dest-prefix', '/copy/', to.clientUrl],
    ]);
    try {
      const mirrored = async (wanted: string) => {
        const deadline = Date.now() + 20_000;
        while ((await ctl(to, 'get', '', '--prefix')) !== wanted)
          assert.ok(Date.now() < deadline, await ctl(to, 'get', '', '--prefix'));
      };
      await mirrored('/copy/a\nbefore\n/copy/b\nbefore\n');
      await ctl(from, 'put', '/app/c', 'later');
      await ctl(from, 'del', '/app/a');
      await mirrored('/copy/b\nbefore\n/copy/c\nlater\n');
    } finally {
      mirror.kill('SIGKILL');
    }
  });

for (const [who, command] of Object.entries(commands))
  test(`check datascale: ${who}`, { timeout }, async () => {
    await using server = await startEtcdProcess({ command, dataDir: join(folder, `scale-${who}`) });
    const text = await ctl(server, 'check', 'datascale', '--auto-compact', '--auto-defrag');
    assert.match(text, /^Start data scale check for work load \[10000 key-value pairs, 1024 bytes/);
    assert.match(text, /Compacted with revision \d+\nDefragmenting .*\nDefragmented/);
    assert.match(text, /PASS: Approximate system memory used : -?\d+\.\d\d MB\.\n$/);
    assert.equal(await ctl(server, 'get', '', '--prefix', '--keys-only'), '');
  });

test('the next endpoint is asked when one does not answer', { timeout }, async () => {
  await using server = await startEtcdProcess({ command: commands.ours, dataDir: join(folder, 'failover') });
  const { stdout } = await run(wherry, ['etcdctl', '--endpoints', `127.0.0.1:1,${server.clientUrl}`, 'put', 'a', '1']);
  assert.equal(stdout, 'OK\n');
});

test('completion knows the verbs', { timeout }, async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { stdout } = await run(wherry, ['etcdctl', 'completion', shell]);
    assert.match(stdout, /grant-role/);
  }
});
