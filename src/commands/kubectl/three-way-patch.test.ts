/** What apply sends: nothing when there is nothing to do, removals by name, others' fields left alone. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { patchSchemaOf } from '#kube-machinery/built-in-schemas.ts';
import { applyStrategicMergePatch } from '#kube-machinery/strategic-merge-patch.ts';
import { threeWayPatch } from './three-way-patch.ts';

const pods = patchSchemaOf({ group: '', version: 'v1', kind: 'Pod' });
const deployments = patchSchemaOf({ group: 'apps', version: 'v1', kind: 'Deployment' });
type Fields = Record<string, unknown>;

test('what the manifest no longer says goes, what others said stays', () => {
  const last = {
    metadata: { labels: { a: '1', b: '2' } },
    spec: { containers: [{ name: 'x', image: 'x:1' }, { name: 'y' }] },
  };
  const wanted = { metadata: { labels: { a: '3' } }, spec: { containers: [{ name: 'x', image: 'x:2' }] } };
  const live = {
    metadata: { labels: { a: '1', b: '2', c: 'of others' } },
    spec: { containers: [{ name: 'x', image: 'x:1', tty: true }, { name: 'y' }, { name: 'injected' }] },
  };
  const patch = threeWayPatch({ last, wanted, live }, pods);
  assert.deepEqual(patch, {
    metadata: { labels: { a: '3', b: null } },
    spec: {
      containers: [
        { name: 'x', image: 'x:2' },
        { $patch: 'delete', name: 'y' },
      ],
      '$setElementOrder/containers': [{ name: 'x' }],
    },
  });
  assert.deepEqual(applyStrategicMergePatch(live, patch as Fields, pods), {
    metadata: { labels: { a: '3', c: 'of others' } },
    spec: { containers: [{ name: 'x', image: 'x:2', tty: true }, { name: 'injected' }] },
  });
});

test('nothing to do is an empty patch, whatever the server and its controllers have added', () => {
  const wanted = { metadata: { name: 'a' }, spec: { template: { spec: { containers: [{ name: 'c', image: 'i' }] } } } };
  const live = {
    metadata: { name: 'a', resourceVersion: '7', generation: 1 },
    spec: {
      replicas: 1,
      template: { spec: { containers: [{ name: 'c', image: 'i', tty: false }], dnsPolicy: 'Default' } },
    },
    status: { observedGeneration: 1 },
  };
  assert.deepEqual(threeWayPatch({ last: wanted, wanted, live }, deployments), {});
  assert.deepEqual(threeWayPatch({ last: {}, wanted, live }, undefined), {
    spec: { template: { spec: { containers: [{ name: 'c', image: 'i' }] } } },
  });
});

test('what somebody else has changed in a field of the manifest is set back', () => {
  const wanted = { spec: { replicas: 2 } };
  assert.deepEqual(threeWayPatch({ last: wanted, wanted, live: { spec: { replicas: 5 } } }, deployments), wanted);
});

test('a union that becomes another member loses the defaults of the old one', () => {
  const last = { spec: { strategy: { type: 'RollingUpdate' } } };
  const wanted = { spec: { strategy: { type: 'Recreate' } } };
  const live = { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%' } } } };
  const patch = threeWayPatch({ last, wanted, live }, deployments);
  assert.deepEqual(patch, { spec: { strategy: { type: 'Recreate', $retainKeys: ['type'] } } });
  assert.deepEqual(applyStrategicMergePatch(live, patch as Fields, deployments), wanted);
});

test('lists of words: added, removed, in order', () => {
  const last = { metadata: { finalizers: ['a', 'b'] } };
  const wanted = { metadata: { finalizers: ['c', 'a'] } };
  const live = { metadata: { finalizers: ['a', 'b', 'of-others'] } };
  assert.deepEqual(threeWayPatch({ last, wanted, live }, pods), {
    metadata: {
      finalizers: ['c'],
      '$deleteFromPrimitiveList/finalizers': ['b'],
      '$setElementOrder/finalizers': ['c', 'a'],
    },
  });
});
