/** Sidecars live as long as the main containers need them: not longer, and their pod has not ended before they have. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { Cluster } from './cluster.ts';

const pods = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true };

interface Status {
  readonly restartCount: number;
  readonly state: { readonly running?: object; readonly terminated?: object };
}
type Pod = ApiObject & {
  readonly status?: {
    readonly phase?: string;
    readonly containerStatuses?: readonly Status[];
    readonly initContainerStatuses?: readonly Status[];
  };
};

test('after the last main container its sidecar is asked to end; only then the pod has succeeded', {
  timeout: 120_000,
}, async () => {
  await using cluster = await Cluster.start({
    clock: 'virtual',
    seed: 8,
    scripts: (image) =>
      image === 'once:1' ? { exit: { afterMs: 2000, code: 0 } } : image === 'slow:1' ? { stopMs: 20_000 } : undefined,
  });
  const client = cluster.client.resource<Pod>(pods, 'default');
  await client.create({
    metadata: { name: 'p' },
    spec: {
      restartPolicy: 'OnFailure',
      initContainers: [{ name: 'side', image: 'slow:1', restartPolicy: 'Always' }],
      containers: [{ name: 'main', image: 'once:1' }],
    },
  } as ApiObject);
  const seen: string[] = [];
  for (let tenths = 0; tenths < 600; tenths++) {
    const { status } = await client.get('p');
    const main = status?.containerStatuses?.[0]?.state;
    const side = status?.initContainerStatuses?.[0]?.state;
    const told = `${status?.phase} main ${Object.keys(main ?? {})[0]} side ${Object.keys(side ?? {})[0]}`;
    if (seen.at(-1) !== told) seen.push(told);
    if (status?.phase === 'Succeeded') break;
    await cluster.advance('100ms');
  }
  assert.deepEqual(seen.slice(-3), [
    'Running main running side running',
    'Running main terminated side running',
    'Succeeded main terminated side terminated',
  ]);
  // Nobody starts it again.
  for (let seconds = 0; seconds < 90; seconds++) await cluster.advance('1s');
  const { status } = await client.get('p');
  assert.equal(status?.phase, 'Succeeded');
  assert.equal(status?.initContainerStatuses?.[0]?.restartCount, 0);
});
