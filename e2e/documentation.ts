/**
 * Lines of the documentation that need no cluster: etcd alone with backup and restore, the loop of whoever works on Wherry, on a clone of this checkout, and the
 * simulation.
 * `first-pod.ts`, `fresh-machine.ts` and `.ci/run` run the others. In namespaces of its own; needs the right to make them.
 *
 *     bin/node e2e/documentation.ts
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { documented, startDocumented } from './documented.ts';
import { enterOwnNamespaces } from './own-namespaces.ts';
import { eventually, type Running, run } from './shell.ts';
import { createSteps } from './steps.ts';

enterOwnNamespaces();

const root = new URL('..', import.meta.url).pathname;
const home = mkdtempSync(join(tmpdir(), 'wherry-documentation-'));
mkdirSync(join(home, 'bin'));
symlinkSync(join(root, 'bin/wherry'), join(home, 'bin/wherry'));
const env = { HOME: home, PATH: `${join(home, 'bin')}:${process.env['PATH']}` };
const { step, finish } = createSteps();

const snapshot = join(home, 'backup.db');
const serves = () =>
  eventually(
    'etcd answers',
    () => run('wherry', ['etcdctl', 'endpoint', 'health'], { env }),
    ({ stdout, stderr }) => `${stdout}${stderr}`.includes('is healthy'),
  );

/** As upstream's it closes all, and then dies of the signal. */
const ends = async (etcd: Running) => {
  await etcd.interrupt();
  assert.equal(etcd.child.signalCode, 'SIGINT', etcd.output());
  assert.match(etcd.output(), /"received signal; shutting down","signal":"interrupt"/);
};

await step('etcd by npx', async () => {
  const etcd = startDocumented('npx wherry etcd', { env, more: ['--data-dir', join(home, 'by-npx')] });
  await serves();
  await ends(etcd);
});
await step('etcd: a backup of one, which another goes on from', async () => {
  const line =
    'wherry etcd --data-dir DIR --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379';
  const etcd = startDocumented(
    'wherry etcd --data-dir DIR --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379',
    { env, words: { DIR: join(home, 'first') } },
  );
  await serves();
  await run('wherry', ['etcdctl', 'put', 'key', 'value'], { env });
  await documented('wherry etcdctl snapshot save FILE', { env, words: { FILE: snapshot } });
  await ends(etcd);
  const { stdout } = await documented('wherry etcdutl snapshot status FILE', { env, words: { FILE: snapshot } });
  assert.match(stdout, /, 2, \d+, /);
  await documented('wherry etcdutl snapshot restore FILE --data-dir DIR --bump-revision 1000000000 --mark-compacted', {
    env,
    words: { FILE: snapshot, DIR: join(home, 'second') },
  });
  const restored = startDocumented(line, { env, words: { DIR: join(home, 'second') } });
  await serves();
  assert.equal((await run('wherry', ['etcdctl', 'get', 'key'], { env })).stdout, 'key\nvalue\n');
  await ends(restored);
});

await step('the loop on a clean clone: generated code, check and format leave it as it is', async () => {
  const clone = join(home, 'wherry');
  await run('git', ['clone', '--quiet', root, clone]);
  // By this name the check tells what has changed, whatever the checkout stands on.
  await run('git', ['-C', clone, 'checkout', '--quiet', '-B', 'main']);
  const packages = join(clone, 'node_modules');
  mkdirSync(packages);
  // The checkout's own: nothing here may write to them, or remove them.
  await run('mount', ['--bind', join(root, 'node_modules'), packages]);
  try {
    await run('mount', ['-o', 'remount,bind,ro', packages]);
    const options = { env, cwd: clone, timeoutMs: 300_000 };
    await documented('npm run gen', options);
    await documented('npm run format', options);
    await documented('npm test -- NEEDLE', { ...options, words: { NEEDLE: 'tools/changed' } });
    assert.equal((await run('git', ['-C', clone, 'status', '--porcelain'])).stdout, '');
    // Something that one test is about: that test is found, and fails; everything else passes.
    writeFileSync(join(clone, 'README.md'), '```\nno such command\n```\n');
    const { code, stdout } = await documented('npm run check', { ...options, mayFail: true });
    assert.equal(code, 1);
    assert.match(stdout, /README\.md:\d+: no such command/);
    const verdicts = [...stdout.matchAll(/^(ok {4}|FAILED) (.+) \(\d+\.\d s\)$/gm)].map(
      ([, verdict, name]) => `${name}: ${verdict!.trim()}`,
    );
    assert.deepEqual(verdicts, [
      'generated code: ok',
      'types: ok',
      'lint and format: ok',
      'house rules: ok',
      'tests: FAILED',
    ]);
  } finally {
    await run('umount', [packages]);
  }
});
await step('the simulation: seeds in a row, one of them again, a planted bug', async () => {
  const options = { env, more: ['--operations=500'], timeoutMs: 120_000 };
  const row = await documented('bin/node sim/main.ts --seeds=N --from=SEED', {
    ...options,
    words: { N: '2', SEED: '11' },
  });
  assert.match(row.stdout, /^2 seeds from 11, /);
  const again = await documented('bin/node sim/main.ts --seed=N --trace', { ...options, words: { N: '11' } });
  assert.match(again.stdout, /^\d+\.\d\d start m0$/m);
  assert.match(again.stdout, /"seed":11,.*"violations":0\b/);
  const planted = await documented('bin/node sim/mutants.ts NAME', {
    ...options,
    more: [],
    words: { NAME: 'progress-ahead-of-events' },
  });
  assert.match(planted.stdout, /^caught progress-ahead-of-events .*\n1 of 1 planted bugs caught\n$/m);
});
rmSync(home, { recursive: true });
process.exitCode = finish();
