/** The line of a pod: sidecars are among its containers, init containers are told one at a time. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { KubeObject } from '../object.ts';
import { printerOf } from './printer-of.ts';

const { row } = printerOf({ group: '', version: 'v1', kind: 'Pod' });
const job = printerOf({ group: 'batch', version: 'v1', kind: 'Job' });

/** READY, STATUS, RESTARTS */
function cellsOf(spec: object, status: object): readonly unknown[] {
  return row({ metadata: { name: 'p' }, spec, status } as unknown as KubeObject, 0).slice(1, 4);
}

const running = { ready: true, started: true, state: { running: {} } };
const spec = { initContainers: [{ name: 's', restartPolicy: 'Always' }, { name: 'i' }], containers: [{ name: 'm' }] };
const done = { name: 'i', state: { terminated: { exitCode: 0 } }, restartCount: 4 };

test('a sidecar that runs is one of the ready containers, and its restarts count', () => {
  const status = {
    phase: 'Running',
    initContainerStatuses: [{ name: 's', restartCount: 2, ...running }, done],
    containerStatuses: [{ name: 'm', restartCount: 1, ...running }],
  };
  assert.deepEqual(cellsOf(spec, status), ['2/2', 'Running', '3']);
});

test('the first init container that is not done tells how far the pod is', () => {
  const waiting = { name: 'i', restartCount: 1, state: { waiting: { reason: 'PodInitializing' } } };
  const first = { phase: 'Pending', initContainerStatuses: [{ name: 's', restartCount: 0, ...running }, waiting] };
  assert.deepEqual(cellsOf(spec, first), ['1/2', 'Init:1/2', '1']);
  const failed = { name: 'i', restartCount: 1, state: { terminated: { exitCode: 3, reason: 'Error' } } };
  assert.deepEqual(cellsOf({ ...spec, initContainers: [{ name: 'i' }] }, { initContainerStatuses: [failed] }), [
    '0/1',
    'Init:Error',
    '1',
  ]);
});

test('a job that is being deleted is terminating, unless it has ended', () => {
  const statusOf = (conditions: object[]) =>
    job.row({ metadata: { name: 'j', deletionTimestamp: 'x' }, status: { conditions } } as unknown as KubeObject, 0)[1];
  assert.equal(statusOf([{ type: 'Suspended', status: 'True' }]), 'Terminating');
  assert.equal(statusOf([{ type: 'Complete', status: 'True' }]), 'Complete');
});
