/** The same seed and the same script are the same history, to the byte, in this process and in another; another seed is another one. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { promisify } from 'node:util';
import { history } from '#testkit/seeded-history.ts';
import { Cluster } from './cluster.ts';
import type { Write } from './trace.ts';

const limit = { timeout: 240_000 };
const configMaps = { group: '', version: 'v1', resource: 'configmaps', kind: 'ConfigMap', namespaced: true };

test('one seed is one history, another seed another one', limit, async () => {
  const first = await history(11);
  // Two at a time: they share a process, and nothing else.
  const [again, other] = await Promise.all([history(11), history(12)]);
  assert.equal(again, first);
  assert.notEqual(other, first);
  assert.match(first, /^[0-9a-f]{64}$/);
});

test('it is the same history in another process', limit, async () => {
  const script = new URL('../testkit/seeded-history.ts', import.meta.url).href;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      '--input-type=module-typescript',
      '--eval',
      `import { history } from ${JSON.stringify(script)}; process.stdout.write(await history(13));`,
    ],
    { timeout: 200_000 },
  );
  assert.equal(stdout, await history(13));
});

test('onWrite tells what the hash is of, revision by revision', limit, async () => {
  const writes: Write[] = [];
  await using cluster = await Cluster.start({
    node: 'none',
    clock: 'virtual',
    seed: 1,
    onWrite: (write) => writes.push(write),
  });
  const client = cluster.client.resource(configMaps, 'default');
  const before = cluster.traceHash();
  await client.create({ metadata: { name: 'm' } });
  assert.notEqual(cluster.traceHash(), before);
  await client.delete('m');
  const [made, gone] = writes.filter(({ key }) => key === '/registry/configmaps/default/m');
  assert.equal(JSON.parse(String(made?.value)).metadata.name, 'm');
  assert.equal(gone?.value, undefined);
  assert.ok(gone!.revision > made!.revision);
});

test('a fork is repeatable, and being forked changes nothing', limit, async () => {
  const run = async (forks: number) => {
    await using cluster = await Cluster.start({ node: 'none', clock: 'virtual', seed: 6 });
    const hashes: string[] = [];
    for (let i = 0; i < forks; i++) {
      await using fork = await cluster.fork();
      await fork.client.resource(configMaps, 'default').create({ metadata: { name: '', generateName: 'm-' } });
      await fork.advance('10s');
      hashes.push(fork.traceHash());
    }
    await cluster.advance('10s');
    return { own: cluster.traceHash(), hashes };
  };
  const forked = await run(2);
  assert.deepEqual(await run(2), forked);
  assert.notEqual(forked.hashes[0], forked.hashes[1]);
  assert.equal((await run(0)).own, forked.own);
});

test('the seed of a run that gave none makes it again', limit, async () => {
  await using first = await Cluster.start({ node: 'none', clock: 'virtual' });
  await using again = await Cluster.start({ node: 'none', clock: 'virtual', seed: first.seed });
  assert.equal(again.traceHash(), first.traceHash());
});
