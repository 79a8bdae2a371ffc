/** A history of a cluster in virtual time that depends on its seed alone: run in one process and in another, it must have one hash. */
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { Cluster } from '#test/cluster.ts';

const deployments = { group: 'apps', version: 'v1', resource: 'deployments', kind: 'Deployment', namespaced: true };

const deployment = (image: string): ApiObject & Record<string, unknown> => ({
  metadata: { name: 'web' },
  spec: {
    replicas: 4,
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        containers: [
          { name: 'c', image, readinessProbe: { httpGet: { port: 80 } } },
          { name: 'crash', image: 'crash:1' },
        ],
      },
    },
  },
});

/** A rollout beside containers that crash, and the deletion of all of it. @returns its hash */
export async function history(seed: number): Promise<string> {
  await using cluster = await Cluster.start({
    clock: 'virtual',
    seed,
    scripts: (image) => (image === 'crash:1' ? { exit: { afterMs: 700, code: 1 }, logs: ['bye'] } : undefined),
  });
  const client = cluster.client.resource(deployments, 'default');
  await cluster.advance('1s');
  await client.create(deployment('app:1'));
  await cluster.advance('20s');
  await client.patch('web', 'merge', deployment('app:2'));
  await cluster.advance('2m');
  await client.delete('web');
  await cluster.advance('1m');
  return cluster.traceHash();
}
