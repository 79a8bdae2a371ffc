/**
 * The apiserver over TLS, asked by another process over HTTP/2 as a Go client would, on an etcd in memory: GET of a 2 KB object, LIST of many, watch
 * fan-out. kube-apiserver cannot be installed beside it from a package registry; the figures are absolute, and the server's own processor time
 * is printed beside them, because the client shares the machine.
 *   bench/apiserver.ts [--objects=N] [--watchers=N] [--changes=N] [--only=get|list|watch]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { parse } from 'yaml';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { Cluster } from '#test/cluster.ts';
import type { Order, Report, Result } from './load/apiserver.ts';

const option = (name: string, otherwise: number) =>
  Number(new RegExp(`--${name}=(\\d+)`).exec(process.argv.join(' '))?.[1] ?? otherwise);
const objects = option('objects', 10_000);
const watchers = option('watchers', 100);
const changes = option('changes', 500);
const only = /--only=(\w+)/.exec(process.argv.join(' '))?.[1];
const wanted = (what: string) => only === undefined || only === what;

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
const local = cluster.client.resource<ApiObject & { readonly data?: object }>(
  { group: '', version: 'v1', resource: 'configmaps', kind: 'ConfigMap', namespaced: true },
  'default',
);
const collection = '/api/v1/namespaces/default/configmaps';
const pods = '/api/v1/pods';

const load = fork(new URL('./load/apiserver.ts', import.meta.url).pathname, {
  execArgv: [],
  serialization: 'advanced',
});
using _ = { [Symbol.dispose]: () => load.disconnect() };

const lost = new Promise<never>((_, reject) => load.once('exit', reject));
lost.catch(() => {});

function next(child: ChildProcess): Promise<Report> {
  return Promise.race([lost, new Promise<Report>((resolve) => child.once('message', resolve))]);
}

async function ordered(order: Order): Promise<Report> {
  load.send(order);
  return next(load);
}

/** @param count operations done while `work` ran */
async function measured(
  what: string,
  count: number,
  unit: string,
  work: () => Promise<Partial<Result> | undefined>,
): Promise<void> {
  const start = performance.now();
  const before = process.cpuUsage();
  const {
    seconds = (performance.now() - start) / 1000,
    p50Ms,
    p99Ms,
  } = (await work()) ?? {
    seconds: (performance.now() - start) / 1000,
  };
  const { user: userUs, system: systemUs } = process.cpuUsage(before);
  const number = (value: number) => Math.round(value).toLocaleString('en');
  const latency = p99Ms ? `  p50 ${p50Ms?.toFixed(2)} ms  p99 ${p99Ms.toFixed(2)} ms` : '';
  const cpu = (userUs + systemUs) / count;
  process.stdout.write(
    `${what.padEnd(48)} ${number(count / seconds).padStart(10)} ${unit}/s  server ${cpu.toFixed(cpu < 10 ? 2 : 0)} us each${latency}\n`,
  );
}

/** @param each work for one number, at most `parallel` at a time */
async function inParallel(count: number, parallel: number, each: (i: number) => Promise<unknown>): Promise<void> {
  let at = 0;
  const worker = async () => {
    while (at < count) await each(at++);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}

async function requests(
  paths: readonly string[],
  count: number,
  parallel: number,
  headers: readonly (readonly [string, string])[] = [],
): Promise<Result> {
  const report = await ordered({ what: 'requests', paths, count, parallel, headers });
  if (report.what !== 'result') throw new Error(`unexpected report: ${report.what}`);
  return report;
}

const value = 'x'.repeat(1800);
await measured(`create ${objects} objects of 2 KB, in process`, objects, 'objects', async () => {
  await inParallel(objects, 32, (i) => local.create({ metadata: { name: `m${i}` }, data: { value } }));
  return undefined;
});

await ordered({
  what: 'connect',
  target: {
    address: server.server,
    ca: pem(server['certificate-authority-data']),
    certificate: pem(user['client-certificate-data']),
    key: pem(user['client-key-data']),
  },
  connections: 4,
});
const paths = Array.from({ length: Math.min(objects, 2000) }, (_, i) => `${collection}/m${i}`);
if (wanted('get')) {
  await requests(paths, 5000, 16);
  for (const parallel of [1, 16, 64])
    await measured(`GET of 2 KB, ${parallel} at a time`, 20_000, 'requests', () => requests(paths, 20_000, parallel));
  const protobuf = [['accept', 'application/vnd.kubernetes.protobuf,application/json']] as const;
  await measured('GET of 2 KB in protobuf, 16 at a time', 20_000, 'requests', () =>
    requests(paths, 20_000, 16, protobuf),
  );
  await measured(`GET of 2 KB from the cache, 16 at a time`, 20_000, 'requests', () =>
    requests(
      paths.map((path) => `${path}?resourceVersion=0`),
      20_000,
      16,
    ),
  );
}
if (wanted('list')) {
  await measured(`LIST of ${objects}, first`, objects, 'objects', () => requests([collection], 1, 1));
  await measured(`LIST of ${objects}, 10 times`, 10 * objects, 'objects', () => requests([collection], 10, 1));
  await measured(`LIST of ${objects} in pages of 500`, objects, 'objects', () =>
    requests([`${collection}?limit=500`], Math.ceil(objects / 500), 1),
  );
  await measured('LIST of nothing', 5000, 'requests', () => requests([pods], 5000, 16));
}
if (wanted('watch')) {
  const { metadata } = await local.list({ limit: 1, resourceVersion: '' });
  const path = `${collection}?watch=1&resourceVersion=${metadata.resourceVersion}`;
  const standing = await ordered({ what: 'watch', path, watchers, events: watchers * changes });
  if (standing.what !== 'ready') throw new Error('the watches do not stand');
  await measured(`watch fan-out, ${watchers} watchers, ${changes} changes`, watchers * changes, 'events', async () => {
    const done = next(load);
    await inParallel(changes, 16, (i) => local.patch(`m${i % objects}`, 'merge', { data: { changed: `${i}` } }));
    const report = await done;
    return report.what === 'result' ? report : undefined;
  });
}
