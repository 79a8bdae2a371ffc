/** The tests of a change: those that reach it by imports, all of them where that cannot be told. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { testsOf } from './changed.ts';

const root = new URL('..', import.meta.url).pathname;
const tests = [
  'src/wire/tar/tar.test.ts',
  'src/raft/quorum.test.ts',
  'src/raft/interaction.test.ts',
  'src/mvcc/store.test.ts',
  'conformance/kube-api/killed-server.test.ts',
  'tools/docs.test.ts',
];
const of = (...changed: string[]) =>
  testsOf(
    root,
    tests.map((path) => join(root, path)),
    new Set(changed),
  ).map((path) => path.slice(root.length));

test('a file, what it is tested by, and what imports it further away', () => {
  const [tar, , , store, launched] = tests;
  // A test that starts a launcher runs the whole product.
  assert.deepEqual(of('src/wire/tar/reader.ts'), [tar, launched]);
  assert.deepEqual(of('src/raft/quorum.test.ts'), ['src/raft/quorum.test.ts']);
  assert.deepEqual(of('src/mvcc/segments.ts'), [store, launched]);
  assert.deepEqual(of('src/kubelet/backoff.test.ts'), []);
});

test('a file of a folder that a test reads', () => {
  assert.deepEqual(of('src/raft/traces/restart.txt'), ['src/raft/interaction.test.ts']);
  assert.deepEqual(of('src/raft/traces/a-new-one.txt'), ['src/raft/interaction.test.ts']);
  assert.deepEqual(of('src/raft/traces.txt'), []);
});

test('pages and the steps that run their lines', () => {
  assert.deepEqual(of('docs/etcd.md'), ['tools/docs.test.ts']);
  assert.deepEqual(of('e2e/user-steps.ts'), ['tools/docs.test.ts']);
});

test('packages, tools and what code is generated from: everything', () => {
  for (const path of ['package-lock.json', 'tools/gen.ts', 'src/api-etcd/kv.proto']) assert.deepEqual(of(path), tests);
});
