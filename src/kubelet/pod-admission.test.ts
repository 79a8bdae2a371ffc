/** Pods that fit, and what is said of those that do not. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Container, Pod } from './pod.ts';
import { refusal } from './pod-admission.ts';

const allocatable = { cpu: '2', memory: '1Gi', pods: '3' };

function cpu(request: string, restartPolicy?: string): Container {
  return { name: 'c', resources: { requests: { cpu: request } }, ...(restartPolicy && { restartPolicy }) };
}

function pod(containers: readonly Container[], initContainers: readonly Container[] = []): Pod {
  return { metadata: { name: 'p', namespace: 'n', uid: 'u' }, spec: { containers, initContainers } };
}

it('takes what just fits, and pods that ask for nothing', { timeout: 5000 }, () => {
  assert.equal(refusal(pod([cpu('1500m')]), [pod([cpu('500m')])], allocatable), undefined);
  assert.equal(refusal(pod([{ name: 'c' }]), [pod([cpu('2')])], allocatable), undefined);
});

it('names the resource, what was asked and what is used', { timeout: 5000 }, () => {
  assert.deepEqual(refusal(pod([cpu('1501m')]), [pod([cpu('500m')])], allocatable), {
    reason: 'OutOfcpu',
    message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 1501, used: 500, capacity: 2000",
  });
});

it('counts pods', { timeout: 5000 }, () => {
  const others = [pod([]), pod([]), pod([])];
  assert.equal(refusal(pod([]), others, allocatable)?.reason, 'OutOfpods');
  assert.equal(refusal(pod([]), others.slice(1), allocatable), undefined);
});

it('takes the largest init container, not their sum', { timeout: 5000 }, () => {
  assert.equal(refusal(pod([cpu('1')], [cpu('2'), cpu('2')]), [], allocatable), undefined);
  assert.equal(refusal(pod([cpu('1')], [cpu('2100m')]), [], allocatable)?.reason, 'OutOfcpu');
});

it('adds sidecars to the main containers and to the init containers after them', { timeout: 5000 }, () => {
  const sidecar = cpu('1', 'Always');
  assert.equal(refusal(pod([cpu('1')], [sidecar]), [], allocatable), undefined);
  assert.equal(refusal(pod([cpu('1100m')], [sidecar]), [], allocatable)?.reason, 'OutOfcpu');
  assert.equal(refusal(pod([], [sidecar, cpu('1100m')]), [], allocatable)?.reason, 'OutOfcpu');
  assert.equal(refusal(pod([], [cpu('1100m'), sidecar]), [], allocatable), undefined);
});
