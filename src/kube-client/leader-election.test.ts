/** Two candidates on one apiserver, under virtual time: one leads, the other takes over; whoever stops leaves nothing behind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startControlPlane } from '#kube-controllers/control-plane.suite.ts';
import { startControllers } from '#kube-controllers/start.ts';
import { startScheduler } from '#kube-scheduler/start.ts';
import { seededPrng } from '#std/prng.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { leaseDurationMs, runLeaderElected } from './leader-election.ts';
import { type Lease, leases } from './types/coordination.ts';

const settle = async () => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
};

function candidate(plane: Awaited<ReturnType<typeof startControlPlane>>, clock: VirtualClock, identity: string) {
  const aborter = new AbortController();
  const told: string[] = [];
  const ended = runLeaderElected(
    {
      client: plane.clientOf('system:kube-scheduler'),
      namespace: 'kube-system',
      name: 'kube-scheduler',
      identity,
      clock,
      prng: seededPrng(identity.length),
      log: () => {},
      signal: aborter.signal,
    },
    async (signal) => {
      told.push('leads');
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      told.push('lost');
    },
  );
  const stop = () => {
    aborter.abort(new Error('stop'));
    return ended;
  };
  return { told, stop };
}

test('a lease has one holder; given back it is taken at the next try, unrenewed after its time', {
  timeout: 20_000,
}, async () => {
  await using plane = await startControlPlane();
  const clock = new VirtualClock();
  const read = () => plane.admin.resource<Lease>(leases, 'kube-system').get('kube-scheduler');
  const a = candidate(plane, clock, 'a');
  await settle();
  const b = candidate(plane, clock, 'bb');
  await clock.advance(leaseDurationMs * 3, settle);
  assert.deepEqual([a.told, b.told], [['leads'], []]);
  assert.equal((await read()).spec?.holderIdentity, 'a');
  await a.stop();
  assert.deepEqual(a.told, ['leads', 'lost']);
  await clock.advance(5000, settle);
  assert.deepEqual(b.told, ['leads']);
  assert.equal((await read()).spec?.leaseTransitions, 1);

  // Somebody takes it by force: the holder notices and stops, and has it back once it is not renewed.
  const stolen = await read();
  await plane.admin
    .resource<Lease>(leases, 'kube-system')
    .update({ ...stolen, spec: { ...stolen.spec!, holderIdentity: 'thief' } });
  await clock.advance(12_000, settle);
  assert.deepEqual(b.told, ['leads', 'lost']);
  await clock.advance(leaseDurationMs + 5000, settle);
  assert.deepEqual(b.told, ['leads', 'lost', 'leads']);
  await b.stop();
  assert.equal((await read()).spec?.holderIdentity, '');
  assert.equal(clock.pending, 0);
});

test('controllers and scheduler that are closed leave no timer', { timeout: 20_000 }, async () => {
  await using plane = await startControlPlane();
  const clock = new VirtualClock();
  const controllers = startControllers({
    config: { identity: 'one', rootCa: 'PEM' },
    deps: { clients: plane.clientOf, clock, prng: seededPrng(1), log: () => {} },
  });
  const scheduler = startScheduler({
    config: { identity: 'one' },
    deps: { client: plane.clientOf('system:kube-scheduler'), clock, prng: seededPrng(2), log: () => {} },
  });
  await Promise.all([controllers.ready, scheduler.ready]);
  await clock.advance(10_000, settle);
  await scheduler[Symbol.asyncDispose]();
  await controllers[Symbol.asyncDispose]();
  assert.equal(clock.pending, 0);
});
