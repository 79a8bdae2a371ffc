/** Pods that name a node which is not there; under virtual time, against a real apiserver. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Pod, pods } from '#kube-client/types/core.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { makeNamespace, startControlled } from '../control-plane.suite.ts';
import { quarantineMs } from './pod-garbage-collector.ts';

const settle = async () => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
};

test('a node that is missing is waited for, and anew when its last pod had gone', { timeout: 20_000 }, async () => {
  const clock = new VirtualClock();
  await using plane = await startControlled(clock);
  await makeNamespace(plane, 'shop');
  const resource = plane.admin.resource<Pod>(pods, 'shop');
  const livedMs = async (name: string) => {
    await resource.create({
      metadata: { name, namespace: 'shop' },
      spec: { nodeName: 'gone', containers: [{ name: 'c', image: 'i' }] },
    });
    await settle();
    for (let ms = 0; ms < 4 * quarantineMs; ms += 5000) {
      const there = await resource.get(name).then(
        () => true,
        () => false,
      );
      if (!there) return ms;
      await clock.advance(5000, settle);
    }
    return Number.POSITIVE_INFINITY;
  };
  for (const name of ['one', 'two']) {
    const ms = await livedMs(name);
    assert.ok(ms >= quarantineMs && ms < 4 * quarantineMs, `${name} was there for ${ms} ms`);
  }
});
