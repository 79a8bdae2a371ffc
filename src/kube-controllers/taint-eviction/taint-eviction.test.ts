/** How long pods stay under `NoExecute` taints that they tolerate for a time; under virtual time, against a real apiserver. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTime } from '#kube-client/time.ts';
import { type Node, nodes, type Pod, pods } from '#kube-client/types/core.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { makeNamespace, startControlled } from '../control-plane.suite.ts';
import { evictionTimeMs } from './taint-eviction.ts';

const settle = async () => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
};
const tolerations = [{ key: 'repair', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 60 }];

test('a taint without a time counts from when the pod was first seen under it', { timeout: 20_000 }, async () => {
  const clock = new VirtualClock();
  await using plane = await startControlled(clock);
  const { admin } = plane;
  await makeNamespace(plane, 'shop');
  const resource = admin.resource<Node>(nodes);
  await resource.create({ metadata: { name: 'a' } });
  const podsOf = admin.resource<Pod>(pods, 'shop');
  await podsOf.create({
    metadata: { name: 'one', namespace: 'shop' },
    spec: { nodeName: 'a', containers: [{ name: 'c', image: 'i' }], tolerations },
  });
  // As `kubectl taint` sends it.
  await resource.patch('a', 'merge', { spec: { taints: [{ key: 'repair', effect: 'NoExecute' }] } });
  let waitedMs = 0;
  const isEvicted = async () => (await podsOf.get('one')).metadata.deletionTimestamp !== undefined;
  for (; !(await isEvicted()) && waitedMs < 200_000; waitedMs += 5000) await clock.advance(5000, settle);
  assert.ok(waitedMs >= 60_000 && waitedMs < 200_000, `evicted after ${waitedMs} ms`);
});

test('a pod that came after the taint has its whole time, one that was there before has what is left', () => {
  const taint = { key: 'repair', effect: 'NoExecute', timeAdded: formatTime(1_000_000) };
  const untimed = { key: 'repair', effect: 'NoExecute' };
  const due = (taints: (typeof untimed)[], createdMs: number, seenMs: number) =>
    evictionTimeMs(tolerations, taints, 2_000_000, { createdMs, seenMs });
  assert.equal(due([taint], 1_990_000, 1_995_000), 2_050_000);
  assert.equal(due([taint], 500_000, 1_995_000), 1_060_000);
  assert.equal(due([untimed], 500_000, 1_995_000), 2_055_000);
  // Created after it was seen: another machine's clock.
  assert.equal(due([taint], 9_000_000, 1_995_000), 2_055_000);
});
