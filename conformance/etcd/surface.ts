/**
 * Everything that etcd shows to the outside, and what becomes of it: calls, paths, flags, commands, and our metrics; Debian's etcd beside ours. The table is
 * `surface.jsonl`; `bin/node conformance/etcd/surface.ts` asks both and writes it. A row where the two differ says why.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Election } from '#api-etcd/gen/election.ts';
import { Health } from '#api-etcd/gen/health.ts';
import { Lock } from '#api-etcd/gen/lock.ts';
import { Auth, Cluster, KV, Lease, Maintenance, Watch } from '#api-etcd/gen/rpc.ts';
import { etcdFlags, type FlagSpec } from '#commands/etcd/flags.ts';
import { featureGates } from '#commands/etcd/gates.ts';
import { etcdctlVerbNames } from '#commands/etcdctl/etcdctl.ts';
import { etcdutlVerbNames } from '#commands/etcdutl-offline.ts';
import { gatewayRoutes } from '#etcd/gateway/routes.ts';
import { startEtcd } from '#etcd/start.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import type { Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { Scope } from '#std/scope.ts';
import { startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { parseTarget } from '#transport/dial.ts';
import { listen } from '#transport/listen.ts';
import type { Method } from '#wire/grpc/service.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';

export type Kind = 'rpc' | 'path' | 'metric' | 'flag' | 'etcdctl' | 'etcdutl';

export interface Row {
  readonly kind: Kind;
  readonly name: string;
  /** Of Debian's etcd 3.5.16. */
  readonly reference: string;
  readonly ours: string;
  /** Where they differ, or where we take something and do nothing. */
  readonly reason?: string;
}

/** `kind name` to what there is; what is not in it is not there. */
export type Column = ReadonlyMap<string, string>;

const absent = 'absent';
const has = 'has';
const file = new URL('./surface.jsonl', import.meta.url);

export function recordedSurface(): readonly Row[] {
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);
}

/** One row for whatever either has. */
export function surfaceOf(reference: Column, ours: Column): readonly Row[] {
  const names = [...new Set([...ours.keys(), ...reference.keys()])].sort();
  return names.map((key) => {
    const [kind, ...rest] = key.split(' ');
    const name = rest.join(' ');
    const [theirs, own] = [reference.get(key) ?? absent, ours.get(key) ?? absent];
    const reason = theirs === own ? undefined : reasonFor(kind as Kind, name, theirs);
    return { kind: kind as Kind, name, reference: theirs, ours: own, ...(reason !== undefined && { reason }) };
  });
}

const reasons: Readonly<Record<string, string>> = {
  'rpc /etcdserverpb.KV/RangeStream': 'of 3.7',
  'flag wherry-promote-learners': 'ours alone: learners that have caught up become voters by themselves',
  'flag wherry-request-memory-bytes': 'ours alone: the memory that client requests may take',
  'etcdctl backup run': 'ours alone: a continuous backup of any etcd',
  'etcdctl doctor': 'ours alone: everything that can be wrong with a cluster, and what to type next',
  'etcdctl help': '--help',
  'etcdctl snapshot restore': "etcdutl's since 3.5, gone from etcdctl in 3.6",
  'etcdctl snapshot status': "etcdutl's since 3.5, gone from etcdctl in 3.6",
  'etcdutl backup': 'copies a v2 store: there is none',
  'etcdutl backup restore': 'ours alone: to a revision or a time',
  'etcdutl backup status': 'ours alone: what an archive can restore',
  'etcdutl backup verify': 'ours alone: every sum of an archive',
  'etcdutl help': '--help',
  'etcdutl recover': 'ours alone: the best copy after the quorum is lost',
};

function reasonFor(kind: Kind, name: string, theirs: string): string | undefined {
  const known = reasons[`${kind} ${name}`];
  if (known !== undefined) return known;
  if (kind === 'metric' && name.startsWith('etcd_server_admission_'))
    return 'ours alone: the memory that client requests take';
  if (kind === 'flag') {
    const spec = etcdFlags[name];
    if (spec?.instead?.kind === 'older name') return `an older name of --${spec.instead.of}`;
    if (spec?.instead?.kind === 'gate') return featureGates[spec.instead.of]!.why;
    if (spec?.instead !== undefined) return spec.instead.why;
    if (spec === undefined) return 'of the v2 store or proxy, which 3.6 has no more';
  }
  return theirs === absent ? 'newer than 3.5.16' : undefined;
}

const services = [KV, Watch, Lease, Cluster, Maintenance, Auth, Lock, Election, Health];

/** Whether the server knows each call: whatever else is wrong with an empty request. */
async function callsOf(channel: Channel): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for (const { methods } of services)
    for (const method of Object.values<Method>(methods)) {
      const outcome = await outcomeOf(channel, method);
      found.push([`rpc ${method.path}`, outcome === Code.Unimplemented ? absent : has]);
    }
  return found;
}

/** Streams that wait for something to happen do not wait here. */
const outcomeMs = 1500;

async function outcomeOf(channel: Channel, method: Method): Promise<Code> {
  const signal = AbortSignal.timeout(outcomeMs);
  await using call = channel.open(method as Method<unknown, unknown>, { signal });
  try {
    call.send(method.request.create());
    call.closeSend();
    await call.messages[Symbol.asyncIterator]().next();
    return Code.OK;
  } catch (error) {
    return RpcError.from(error).code;
  }
}

const paths = [
  ...['/health', '/livez', '/readyz', '/readyz/data_corruption', '/readyz/serializable_read', '/version', '/metrics'],
  ...['/debug/vars', '/debug/pprof/', '/debug/requests', '/v2/keys', '/v3/nope', '/nope'],
];

async function pathsOf(url: string): Promise<[string, string][]> {
  const status = (path: string) =>
    new Promise<string>((resolve, reject) => {
      get(`${url}${path}`, { agent: new Agent() }, (response) => {
        response.resume();
        resolve(String(response.statusCode));
      }).on('error', reject);
    });
  const found: [string, string][] = [];
  for (const path of [...paths, ...gatewayRoutes.keys()]) {
    const code = await status(path);
    // A call by GET is refused, which shows that it is there.
    if (code !== '404') found.push([`path ${path}`, code]);
  }
  return found;
}

/** Of a member by itself, which talks to no other. */
async function metricsOf(url: string): Promise<[string, string][]> {
  const text = await new Promise<string>((resolve, reject) => {
    get(`${url}/metrics`, { agent: new Agent() }, (response) => {
      response.toArray().then((chunks) => resolve(Buffer.concat(chunks as Buffer[]).toString()), reject);
    }).on('error', reject);
  });
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [`metric ${name}`, type!]);
}

export async function oursColumn(): Promise<Column> {
  const scope = new Scope();
  try {
    const etcd = scope.use(
      await startEtcd({ config: {}, deps: { clock: systemClock, prng: systemPrng(), log: () => {} } }),
    );
    const { port } = scope.use(await listen({ address: { host: '127.0.0.1', port: 0 }, handler: etcd.http }));
    return new Map([
      ...(await callsOf(scope.use(etcd.connect()))),
      ...(await pathsOf(`http://127.0.0.1:${port}`)),
      ...(await metricsOf(`http://127.0.0.1:${port}`)),
      ...Object.entries(etcdFlags).map(([name, spec]) => [`flag ${name}`, ourFlag(spec)] as const),
      ...etcdctlVerbNames.map((name) => [`etcdctl ${name}`, has] as const),
      ...etcdutlVerbNames.map((name) => [`etcdutl ${name}`, has] as const),
    ]);
  } finally {
    await scope[Symbol.asyncDispose]();
  }
}

/** A flag that stands for a feature does what the feature does. */
function ourFlag({ instead }: FlagSpec): string {
  if (instead?.kind === 'gate') return featureGates[instead.of]!.why === undefined ? has : 'no effect';
  return instead === undefined ? has : instead.kind;
}

/** @param ours of metrics, only those that are ours too count: the reference tells of much that only Go has */
export async function referenceColumn(ours: Column): Promise<Column> {
  const scope = new Scope();
  try {
    const folder = mkdtempSync(join(tmpdir(), 'etcd-surface-'));
    scope.defer(() => rmSync(folder, { recursive: true, force: true }));
    const binary = referenceBinary('etcd-server', 'etcd');
    const server = scope.use(await startEtcdProcess({ command: [binary], dataDir: join(folder, 'data') }));
    const channel = scope.use(connectRpc({ target: parseTarget(server.clientUrl), clock: systemClock }));
    return new Map([
      ...(await callsOf(channel)),
      ...(await pathsOf(server.clientUrl)),
      ...(await metricsOf(server.clientUrl)).filter(([name]) => ours.has(name)),
      ...flagsOf(binary),
      ...verbsOf('etcdctl', referenceBinary('etcd-client', 'etcdctl')),
      ...verbsOf('etcdutl', referenceBinary('etcd-server', 'etcdutl')),
    ]);
  } finally {
    await scope[Symbol.asyncDispose]();
  }
}

function flagsOf(binary: string): [string, string][] {
  const text = helpOf(binary, ['--help']);
  const names = new Set([...text.matchAll(/^ +--([a-z0-9-]+)/gm)].map(([, name]) => name!));
  return [...names, 'version', 'config-file'].map((name) => [`flag ${name}`, has]);
}

function verbsOf(kind: 'etcdctl' | 'etcdutl', binary: string): [string, string][] {
  if (kind === 'etcdctl') {
    const section = helpOf(binary, ['--help']).split('COMMANDS:')[1]!.split('OPTIONS:')[0]!;
    const names = [...section.matchAll(/^\t(\S+(?: \S+)?)\t/gm)].map(([, name]) => name!);
    // One for each shell there, which is one with an argument here.
    return names.map((name) => [`etcdctl ${name.replace(/^(completion) .*/, '$1')}`, has]);
  }
  const listed = (args: readonly string[]) =>
    [
      ...helpOf(binary, args)
        .split('Available Commands:')[1]!
        .split('Flags:')[0]!
        .matchAll(/^ {2}(\S+)/gm),
    ].map(([, name]) => name!);
  const names = listed(['--help']).flatMap((name) =>
    name === 'snapshot' ? listed(['snapshot', '--help']).map((verb) => `snapshot ${verb}`) : [name],
  );
  return names.map((name) => [`etcdutl ${name}`, has]);
}

function helpOf(binary: string, args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(binary, args, { encoding: 'utf8' });
  return stdout + stderr;
}

async function record(): Promise<void> {
  const ours = await oursColumn();
  const rows = surfaceOf(await referenceColumn(ours), ours);
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

if (import.meta.main) await record();
