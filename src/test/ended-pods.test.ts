/** Pods that ran to their end leave their node to the next ones. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { Cluster } from './cluster.ts';

const pods = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true };

type Pod = ApiObject & { readonly status?: { readonly phase?: string; readonly reason?: string } };

/** More than half of a node with eight processors. */
const pod = (name: string) => ({
  metadata: { name },
  spec: {
    restartPolicy: 'Never',
    containers: [{ name: 'c', image: 'once:1', resources: { requests: { cpu: '5' } } }],
  },
});

test('what an ended pod asked for is free again', { timeout: 120_000 }, async () => {
  await using cluster = await Cluster.start({
    clock: 'virtual',
    seed: 3,
    scripts: (image) => (image === 'once:1' ? { exit: { afterMs: 1000, code: 0 } } : undefined),
  });
  const client = cluster.client.resource<Pod>(pods, 'default');
  await cluster.advance('1s');
  for (const name of ['one', 'two', 'three']) {
    await client.create(pod(name));
    await cluster.advance('30s');
    const { status } = await client.get(name);
    assert.deepEqual([status?.phase, status?.reason], ['Succeeded', undefined], name);
  }
});
