/**
 * The apiserver over TLS from another process's point of view, on an etcd in memory: GET of a 2 KB object, LIST of many, watch fan-out. kube-apiserver cannot be
 * installed beside it from a package registry; the figures are absolute.
 *   bench/apiserver.ts [--objects=N]
 */

import { parse } from 'yaml';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { createKubeClient } from '#kube-client/client.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { Cluster } from '#test/cluster.ts';
import { createFetch } from '#transport/fetch.ts';

const objects = Number(/--objects=(\d+)/.exec(process.argv.join(' '))?.[1] ?? 10_000);
const maps = { group: '', version: 'v1', resource: 'configmaps', kind: 'ConfigMap', namespaced: true };

interface Kubeconfig {
  readonly clusters: readonly [
    { readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string } },
  ];
  readonly users: readonly [{ readonly user: Readonly<Record<'client-certificate-data' | 'client-key-data', string>> }];
}

await using cluster = await Cluster.start({ node: 'none' });
const config = parse(await cluster.listen()) as Kubeconfig;
const pem = (base64: string) => Buffer.from(base64, 'base64').toString('utf8');
const [{ cluster: server }] = config.clusters;
const [{ user }] = config.users;
await using fetch = createFetch({
  address: server.server,
  tls: {
    ca: pem(server['certificate-authority-data']),
    certificate: pem(user['client-certificate-data']),
    key: pem(user['client-key-data']),
  },
});
const client = createKubeClient({ fetch, clock: systemClock, prng: systemPrng() });
const remote = client.resource<ApiObject & { readonly data?: object }>(maps, 'default');
const local = cluster.client.resource<ApiObject & { readonly data?: object }>(maps, 'default');

async function timed(what: string, count: number, unit: string, work: () => Promise<void>): Promise<void> {
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  process.stdout.write(
    `${what.padEnd(40)} ${Math.round(count / seconds)
      .toLocaleString('en')
      .padStart(10)} ${unit}/s\n`,
  );
}

/** @param each work for one number, at most `parallel` at a time */
async function inParallel(count: number, parallel: number, each: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await each(next++);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}

const value = 'x'.repeat(1800);
await timed(`create ${objects} objects of 2 KB, in process`, objects, 'objects', () =>
  inParallel(objects, 32, (i) => local.create({ metadata: { name: `m${i}` }, data: { value } })),
);
const gets = 3000;
await timed('GET of 2 KB over TLS, 16 at a time', gets, 'requests', () =>
  inParallel(gets, 16, (i) => remote.get(`m${i % objects}`)),
);
await timed(`LIST of ${objects}, over TLS`, objects, 'objects', async () => {
  await remote.list({ resourceVersion: '0' });
});
const watchers = 100;
const changes = 500;
const seen = Array.from({ length: watchers }, async () => {
  const { metadata } = await local.list({ limit: 1, resourceVersion: '' });
  const aborter = new AbortController();
  let left = changes;
  for await (const _ of local.watch({ resourceVersion: metadata.resourceVersion ?? '', signal: aborter.signal }))
    if (--left === 0) break;
  aborter.abort();
});
await new Promise((resolve) => setTimeout(resolve, 200));
await timed(`watch fan-out, ${watchers} watchers`, watchers * changes, 'events', async () => {
  await inParallel(changes, 16, (i) => local.patch(`m${i}`, 'merge', { data: { changed: 'yes' } }));
  await Promise.all(seen);
});
