/** Discovery says the same in both forms; a group that did not answer, or answers from memory, is unknown and not gone. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { systemClock } from '#host/clock.ts';
import { utf8Encode } from '#std/bytes.ts';
import { seededPrng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';
import { createKubeClient, type KubeClient } from './client.ts';
import { type DiscoveredResource, discover, preferredResources } from './discovery.ts';

const deps = { clock: systemClock, prng: seededPrng(1) };

test('the aggregated documents say what the single ones say', async () => {
  await using scope = new Scope();
  const { server } = await startInMemoryApiserver(scope);
  const asked: string[] = [];
  const clientOf = (aggregated: boolean) =>
    createKubeClient({
      ...deps,
      component: { user: 'admin', groups: ['system:masters'] },
      fetch: (request) => {
        asked.push(request.target);
        return server.handler(aggregated ? request : { ...request, headers: [['accept', 'application/json']] });
      },
    });
  const sorted = ({ resources }: { readonly resources: readonly DiscoveredResource[] }) =>
    [...resources].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  const aggregated = await discover(clientOf(true));
  assert.deepEqual(asked.splice(0), ['/api', '/apis']);
  const single = await discover(clientOf(false));
  assert.ok(asked.includes('/apis/apps/v1'));
  assert.ok(aggregated.resources.length > 60);
  assert.deepEqual(sorted(aggregated), sorted(single));
});

test('a stale group version is a failure, and the first version is preferred', async () => {
  const document = (items: unknown) => ({ kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', items });
  const entry = { resource: 'things', responseKind: { kind: 'Thing' }, scope: 'Cluster', verbs: ['list'] };
  const group = (name: string, freshness: string) => ({
    metadata: { name },
    versions: [
      { version: 'v2', freshness, resources: [entry] },
      { version: 'v1', freshness, resources: [entry] },
    ],
  });
  const client: KubeClient = createKubeClient({
    ...deps,
    fetch: async ({ target }) => ({
      status: 200,
      headers: [],
      body: utf8Encode(
        JSON.stringify(document(target === '/api' ? [] : [group('a.test', 'Current'), group('b.test', 'Stale')])),
      ),
    }),
  });
  const found = await discover(client);
  assert.deepEqual(
    found.failures.map(({ groupVersion }) => groupVersion),
    ['b.test/v2', 'b.test/v1'],
  );
  assert.deepEqual(
    preferredResources(found).map(({ group: name, version }) => `${name}/${version}`),
    ['a.test/v2'],
  );
});
