/** A pod that is being ended slowly, and is asked to go sooner. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { StatusError } from '#kube-machinery/status.ts';
import { Cluster } from './cluster.ts';

const pods = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true };
const events = { group: '', version: 'v1', resource: 'events', kind: 'Event', namespaced: true };

type Pod = ApiObject & { readonly status?: { readonly phase?: string } };
type Event = ApiObject & { readonly reason?: string; readonly count?: number; readonly message?: string };

const limit = { timeout: 120_000 };

const start = () =>
  Cluster.start({
    clock: 'virtual',
    seed: 5,
    scripts: (image) =>
      image === 'stubborn:1' ? { stopMs: 600_000 } : image === 'huge:1' ? { pullMs: 600_000 } : undefined,
  });

/** Lets up to a minute pass until `holds`: far less than any grace period here. */
async function within(cluster: Cluster, what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tenths = 0; tenths < 600; tenths++) {
    if (await holds()) return;
    await cluster.advance('100ms');
  }
  assert.fail(`${what}: not within a minute`);
}

const running = (cluster: Cluster) =>
  within(
    cluster,
    'the pod runs',
    async () => (await cluster.client.resource<Pod>(pods, 'default').get('p')).status?.phase === 'Running',
  );

const gone = (cluster: Cluster) => within(cluster, 'the pod is gone', () => isGone(cluster));

async function isGone(cluster: Cluster): Promise<boolean> {
  try {
    await cluster.client.resource<Pod>(pods, 'default').get('p');
    return false;
  } catch (error) {
    if (error instanceof StatusError && error.code === 404) return true;
    throw error;
  }
}

const pod = (image: string, more: object = {}) => ({
  metadata: { name: 'p' },
  spec: { terminationGracePeriodSeconds: 300, containers: [{ name: 'c', image, ...more }] },
});

test('a shorter grace period cuts the running one off', limit, async () => {
  await using cluster = await start();
  const client = cluster.client.resource<Pod>(pods, 'default');
  await client.create(pod('stubborn:1'));
  await running(cluster);
  await client.delete('p');
  await cluster.advance('10s');
  assert.equal(await isGone(cluster), false);
  await client.delete('p', { gracePeriodSeconds: 5 });
  await gone(cluster);
  const { items } = await cluster.client.resource<Event>(events, 'default').list();
  const killing = items.filter(({ reason }) => reason === 'Killing');
  assert.deepEqual(
    killing.map(({ count, message }) => [count, message]),
    [[1, 'Stopping container c']],
  );
});

test('a longer one changes nothing', limit, async () => {
  await using cluster = await start();
  const client = cluster.client.resource<Pod>(pods, 'default');
  await client.create(pod('stubborn:1'));
  await running(cluster);
  await client.delete('p', { gracePeriodSeconds: 20 });
  await cluster.advance('10s');
  await client.delete('p', { gracePeriodSeconds: 250 });
  await gone(cluster);
});

test('a preStop hook under way is given up, and not begun again', limit, async () => {
  await using cluster = await start();
  const client = cluster.client.resource<Pod>(pods, 'default');
  await client.create(pod('stubborn:1', { lifecycle: { preStop: { sleep: { seconds: 200 } } } }));
  await running(cluster);
  await client.delete('p');
  await cluster.advance('10s');
  await client.delete('p', { gracePeriodSeconds: 5 });
  await gone(cluster);
});

test('a pull under way does not hold back a deletion', limit, async () => {
  await using cluster = await start();
  const client = cluster.client.resource<Pod>(pods, 'default');
  await client.create(pod('huge:1'));
  await within(cluster, 'the pull has begun', async () =>
    (await cluster.client.resource<Event>(events, 'default').list()).items.some(({ reason }) => reason === 'Pulling'),
  );
  await client.delete('p');
  await gone(cluster);
});
