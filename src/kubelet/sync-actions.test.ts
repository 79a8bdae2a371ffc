/** What a pod needs next, from an empty node to a finished pod, and what is left alone. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Container, Pod, PodSpec } from './pod.ts';
import type { RuntimeContainer, RuntimePod, RuntimeSandbox } from './runtime-pod.ts';
import { computeActions, type Verdicts } from './sync-actions.ts';

const healthy: Verdicts = { mustRestart: () => undefined, started: () => true };
const main: Container = { name: 'main' };
const init: Container = { name: 'init' };
const second: Container = { name: 'second' };
const sidecar: Container = { name: 'sidecar', restartPolicy: 'Always' };

function pod(spec: Partial<PodSpec> = {}): Pod {
  return { metadata: { name: 'p', namespace: 'n', uid: 'u' }, spec: { containers: [main], ...spec } };
}

function sandbox(attempt = 0, ready = true): RuntimeSandbox {
  return { id: `sandbox-${attempt}`, attempt, ready, createdAtMs: attempt, ips: ['10.0.0.2'] };
}

function instance(name: string, changes: Partial<RuntimeContainer> = {}): RuntimeContainer {
  return {
    id: `${name}-${changes.attempt ?? 0}`,
    sandboxId: 'sandbox-0',
    name,
    attempt: 0,
    state: 'running',
    createdAtMs: 1,
    startedAtMs: 1,
    finishedAtMs: 0,
    exitCode: 0,
    reason: '',
    message: '',
    image: '',
    imageId: '',
    logPath: '',
    ...changes,
  };
}

function runtime(sandboxes: readonly RuntimeSandbox[], containers: readonly RuntimeContainer[] = []): RuntimePod {
  return { uid: 'u', name: 'p', namespace: 'n', sandboxes, containers };
}

/** Names and restart counts of what would start. */
function starts(of: Pod, state: RuntimePod, verdicts = healthy): string[] {
  return computeActions(of, state, verdicts).toStart.map(
    ({ container, restartCount }) => `${container.name}#${restartCount}`,
  );
}

describe('sandbox', { timeout: 5000 }, () => {
  it('is created first, with the first init container alone', () => {
    const actions = computeActions(pod({ initContainers: [init, second] }), runtime([]), healthy);
    assert.equal(actions.createSandbox, true);
    assert.equal(actions.sandboxAttempt, 0);
    assert.equal(actions.sandboxToKill, undefined);
    assert.deepEqual(
      actions.toStart.map(({ container }) => container.name),
      ['init'],
    );
  });

  it('that is lost is stopped and replaced under the next attempt', () => {
    const actions = computeActions(
      pod(),
      runtime([sandbox(3, false)], [instance('main', { state: 'exited' })]),
      healthy,
    );
    assert.equal(actions.sandboxToKill?.id, 'sandbox-3');
    assert.equal(actions.sandboxAttempt, 4);
    assert.deepEqual(
      actions.toStart.map(({ restartCount }) => restartCount),
      [1],
    );
  });

  it('without an address is no use, except on the host network', () => {
    const bare = { ...sandbox(), ips: [] };
    assert.equal(computeActions(pod(), runtime([bare]), healthy).createSandbox, true);
    assert.equal(computeActions(pod({ hostNetwork: true }), runtime([bare]), healthy).createSandbox, false);
  });

  it('is not replaced for a pod that has finished', () => {
    const finished = runtime([sandbox(0, false)], [instance('main', { state: 'exited' })]);
    assert.equal(computeActions(pod({ restartPolicy: 'Never' }), finished, healthy).createSandbox, false);
    assert.equal(computeActions(pod({ restartPolicy: 'OnFailure' }), finished, healthy).createSandbox, false);
    assert.equal(computeActions(pod({ restartPolicy: 'Always' }), finished, healthy).createSandbox, true);
  });

  it('of a pod that has ended is left alone once it is stopped', () => {
    const never = pod({ restartPolicy: 'Never', initContainers: [init] });
    const stopped = sandbox(0, false);
    const failed = instance('init', { state: 'exited', exitCode: 1 });
    const through = [instance('init', { state: 'exited' }), instance('main', { state: 'exited' })];
    for (const containers of [[failed], through])
      assert.deepEqual(computeActions(never, runtime([stopped], containers), healthy), {
        sandboxToKill: undefined,
        createSandbox: false,
        sandboxAttempt: 1,
        toKill: [],
        toStart: [],
      });
    const beside = [...through, instance('sidecar')];
    assert.equal(computeActions(never, runtime([stopped], beside), healthy).sandboxToKill, stopped);
  });

  it('that is new runs every init container again, in order', () => {
    const spec = pod({ initContainers: [init, second] });
    const old = [
      instance('init', { state: 'exited' }),
      instance('second', { state: 'exited' }),
      instance('main', { state: 'exited', exitCode: 255 }),
    ];
    const sandboxes = [sandbox(1), sandbox(0, false)];
    assert.deepEqual(starts(spec, runtime([sandbox(0, false)], old)), ['init#1']);
    const again = instance('init', { attempt: 1, sandboxId: 'sandbox-1' });
    assert.deepEqual(starts(spec, runtime(sandboxes, [again, ...old])), []);
    const done = { ...again, state: 'exited' as const };
    assert.deepEqual(starts(spec, runtime(sandboxes, [done, ...old])), ['second#1']);
    const both = [instance('second', { attempt: 1, sandboxId: 'sandbox-1', state: 'exited' }), done, ...old];
    assert.deepEqual(starts(spec, runtime(sandboxes, both)), ['main#1']);
  });
});

describe('containers', { timeout: 5000 }, () => {
  it('start once all init containers are done', () => {
    const spec = pod({ initContainers: [init] });
    assert.deepEqual(starts(spec, runtime([sandbox()], [instance('init')])), []);
    assert.deepEqual(starts(spec, runtime([sandbox()], [instance('init', { state: 'exited' })])), ['main#0']);
  });

  it('restart by the policy of their pod', () => {
    const failed = runtime([sandbox()], [instance('main', { state: 'exited', exitCode: 1 })]);
    const done = runtime([sandbox()], [instance('main', { state: 'exited' })]);
    assert.deepEqual(starts(pod(), done), ['main#1']);
    assert.deepEqual(starts(pod({ restartPolicy: 'OnFailure' }), failed), ['main#1']);
    assert.deepEqual(starts(pod({ restartPolicy: 'OnFailure' }), done), []);
    assert.deepEqual(starts(pod({ restartPolicy: 'Never' }), failed), []);
  });

  it('that fail their liveness probe are killed, and come back unless the policy is Never', () => {
    const verdicts = { ...healthy, mustRestart: () => 'Container main failed liveness probe' };
    const state = runtime([sandbox()], [instance('main')]);
    const actions = computeActions(pod(), state, verdicts);
    assert.deepEqual(
      actions.toKill.map(({ reason }) => reason),
      ['Container main failed liveness probe'],
    );
    assert.deepEqual(starts(pod(), state, verdicts), ['main#1']);
    assert.deepEqual(starts(pod({ restartPolicy: 'Never' }), state, verdicts), []);
  });

  it('are not looked at while a failed init container is final', () => {
    const spec = pod({ initContainers: [init], restartPolicy: 'Never' });
    const state = runtime([sandbox()], [instance('init', { state: 'exited', exitCode: 1 })]);
    assert.deepEqual(starts(spec, state), []);
  });
});

describe('sidecars', { timeout: 5000 }, () => {
  it('hold the next container back until they have started', () => {
    const spec = pod({ initContainers: [sidecar] });
    const state = runtime([sandbox()], [instance('sidecar')]);
    assert.deepEqual(starts(spec, state, { ...healthy, started: () => false }), []);
    assert.deepEqual(starts(spec, state), ['main#0']);
  });

  it('are restarted beside containers that run, whatever the policy', () => {
    const spec = pod({ initContainers: [sidecar], restartPolicy: 'Never' });
    const state = runtime([sandbox()], [instance('sidecar', { state: 'exited' }), instance('main')]);
    assert.deepEqual(starts(spec, state), ['sidecar#1']);
  });
});
