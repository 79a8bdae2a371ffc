/**
 * `wherry up` is killed with SIGKILL at seeded moments of a mixed workload: over TLS, four writers create, replace, patch and delete, and a fifth makes a deployment
 * larger and smaller, so that containers are being made and removed. After each restart: every acknowledged write is there; the containers that are left in peace kept
 * their pid and start time and are the same to the kubelet; the other deployment gets to its size; a watch from a revision seen before the crash tells
 * every write since, in order and once. Needs root and the reference packages.
 *
 *     bin/node e2e/crashes.ts [--times=100] [--seed=1]
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { systemClock } from '#host/clock.ts';
import { createKubeClient, type ResourceClient } from '#kube-client/client.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { StatusError } from '#kube-machinery/status.ts';
import { below, seededPrng } from '#std/prng.ts';
import { assertInventory, takeInventory } from '#testkit/inventory.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { createFetch } from '#transport/fetch.ts';
import { enterOwnNamespaces } from './own-namespaces.ts';
import { eventually, type Running, run, start } from './shell.ts';
import { createSteps } from './steps.ts';

const runId = enterOwnNamespaces();

const { values } = parseArgs({
  options: { times: { type: 'string', default: '100' }, seed: { type: 'string', default: '1' } },
});
const times = Number(values.times);
const prng = seededPrng(Number(values.seed));
const wherry = new URL('../bin/wherry', import.meta.url).pathname;
const home = mkdtempSync(join(tmpdir(), 'wherry-crashes-'));
const name = `crash${runId}`;
const dataDir = join(home, 'data');
const env = { HOME: home, KUBECONFIG: join(home, 'kubeconfig') };
const cluster = ['--name', name, '--data-dir', dataDir];
const mine = { only: (text: string) => text.includes(name) || text.includes(home) };
const kubectl = (...args: string[]) => run(referenceBinary('kubectl', 'kubectl'), args, { env });
const { step, finish } = createSteps();

interface ConfigMap extends ApiObject {
  readonly data?: Readonly<Record<string, string>>;
}
/** What a name holds: the number of its last write; undefined when it is not there. */
type Held = number | undefined;
/** A write that has no answer: what the name holds when it is done, and what a watch then tells. */
interface InFlight {
  readonly will: Held;
  readonly event: string;
}

const writersCount = 4;
const namesEach = 5;
const killWithinMs = 400;
const resizeEveryMs = 60;
const sizeMax = 3;
const held = new Map<string, Held>();
let writeNumber = 0;
let writesCount = 0;
let resizesCount = 0;
let up: Running;

const before = takeInventory(mine);
try {
  await step('up, with two containers', async () => {
    await startUp();
    await kubectl('create', 'deployment', 'hello', '--image=wherry/hello:1', '--replicas=2');
    await kubectl('rollout', 'status', 'deployment/hello', '--timeout=30s');
    await kubectl('create', 'deployment', 'changing', '--image=wherry/hello:1', '--replicas=0');
  });
  for (let time = 1; time <= times; time++) await step(`kill ${time}`, crash);
} finally {
  process.stdout.write(`${writesCount} acknowledged writes, ${resizesCount} changes of size\n`);
  await step('down --purge: nothing is left', async () => {
    await run(wherry, ['down', '--purge', ...cluster], { env });
    await assertInventory(before, mine);
    rmSync(home, { recursive: true });
  });
}
process.exitCode = finish();

async function startUp(): Promise<void> {
  up = start(wherry, ['up', ...cluster], env);
  await eventually(
    'up is ready',
    async () => up.output(),
    (text) => {
      if (up.child.exitCode !== null) throw new Error(`up ended: ${text}`);
      return text.includes('ready in');
    },
  );
}

/** With the cluster administrator's certificate, on connections of their own: none outlives a crash. */
async function connect(): Promise<Connection> {
  const { stdout } = await kubectl('config', 'view', '--raw', '--minify', '-o', 'json');
  const config = JSON.parse(stdout) as KubeconfigView;
  const decode = (text: string) => Buffer.from(text, 'base64').toString();
  const { cluster: server } = config.clusters[0]!;
  const { user } = config.users[0]!;
  const fetch = createFetch({
    address: server.server,
    tls: {
      ca: decode(server['certificate-authority-data']),
      certificate: decode(user['client-certificate-data']),
      key: decode(user['client-key-data']),
    },
  });
  const client = createKubeClient({ fetch, clock: systemClock, prng });
  const ref = { group: '', version: 'v1', resource: 'configmaps', kind: 'ConfigMap', namespaced: true };
  const apps = { group: 'apps', version: 'v1', resource: 'deployments', kind: 'Deployment', namespaced: true };
  return {
    maps: client.resource<ConfigMap>(ref, 'default'),
    deployments: client.resource<Deployment>(apps, 'default'),
    fetch,
  };
}
interface Connection {
  readonly maps: ResourceClient<ConfigMap>;
  readonly deployments: ResourceClient<Deployment>;
  readonly fetch: AsyncDisposable;
}
interface Deployment extends ApiObject {
  readonly spec: { readonly replicas: number };
  readonly status?: {
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly observedGeneration?: number;
  };
}
interface KubeconfigView {
  readonly clusters: readonly { readonly cluster: { readonly server: string; 'certificate-authority-data': string } }[];
  readonly users: readonly {
    readonly user: { readonly 'client-certificate-data': string; readonly 'client-key-data': string };
  }[];
}

async function crash(): Promise<void> {
  const { maps, deployments, fetch } = await connect();
  const since = (await maps.list()).metadata.resourceVersion!;
  const { replicas: size } = (await deployments.get('changing')).spec;
  const containers = await containersLeftInPeace();
  assert.equal(containers.length, 2, containers.join('\n'));
  const firstWrite = Promise.withResolvers<void>();
  const inFlight = new Map<string, InFlight>();
  const end = { killed: false };
  const acknowledged: string[][] = Array.from({ length: writersCount }, () => []);
  const work = Promise.all([
    resize(deployments, size, end),
    ...acknowledged.map((list, writer) => write(maps, writer, list, inFlight, firstWrite.resolve, end)),
  ]);
  // Whoever fails before the time has come ends all of it.
  await Promise.race([firstWrite.promise, work]);
  await Promise.race([sleep(below(prng, killWithinMs)), work]);
  end.killed = true;
  up.child.kill('SIGKILL');
  await up.ended;
  const [possibleSizes] = await work;
  await fetch[Symbol.asyncDispose]();

  await startUp();
  const { maps: again, deployments: deploymentsAgain, fetch: secondFetch } = await connect();
  try {
    await eventually('the kubelet has the same containers', containersLeftInPeace, (now) =>
      isDeepStrictEqual(now, containers),
    );
    const there = new Map(
      (await again.list()).items.map((item) => [item.metadata.name, Number(item.data?.['n'])] as const),
    );
    for (const key of new Set([...held.keys(), ...inFlight.keys(), ...there.keys()])) {
      const now = there.get(key);
      if (now === held.get(key) || key === 'kube-root-ca.crt') continue;
      const asked = inFlight.get(key);
      assert.ok(asked !== undefined && asked.will === now, `${key} holds ${now}, acknowledged was ${held.get(key)}`);
    }
    const told = await replay(again, since);
    for (const list of acknowledged) {
      const known = new Set(list);
      assert.deepEqual(
        told.filter((event) => known.has(event)),
        list,
        'the watch tells each acknowledged write, in order and once',
      );
    }
    // Of the others each may have been done at last, once.
    const known = new Set(acknowledged.flat());
    const others = told.filter((event) => /^\w+ w\d-/.test(event) && !known.has(event));
    const asked = new Set([...inFlight.values()].map(({ event }) => event));
    assert.deepEqual(
      others.filter((event, i) => !asked.has(event) || others.indexOf(event) !== i),
      [],
      'the watch tells nothing that nobody asked for, and nothing twice',
    );
    const { replicas } = (await deploymentsAgain.get('changing')).spec;
    assert.ok(possibleSizes.includes(replicas), `size ${replicas}, acknowledged was one of ${possibleSizes}`);
    await eventually(
      `the deployment has its size, ${replicas}`,
      () => deploymentsAgain.get('changing'),
      ({ metadata, status = {} }) =>
        status.observedGeneration === metadata.generation &&
        (status.replicas ?? 0) === replicas &&
        (status.readyReplicas ?? 0) === replicas,
    );
    // What was in flight is settled by what is there.
    for (const key of inFlight.keys()) held.set(key, there.get(key));
    writesCount += acknowledged.flat().length;
  } finally {
    await secondFetch[Symbol.asyncDispose]();
  }
}

/** Changes the size of a deployment again and again until the server is killed. @returns the sizes it may have now: the last one acknowledged, and the one in flight */
async function resize(
  deployments: ResourceClient<Deployment>,
  before: number,
  end: { readonly killed: boolean },
): Promise<readonly number[]> {
  for (let size = before; ; ) {
    const next = below(prng, sizeMax + 1);
    try {
      await deployments.patch('changing', 'merge', { spec: { replicas: next } });
    } catch (error) {
      if (error instanceof StatusError || !end.killed) throw error;
      return [size, next];
    }
    size = next;
    resizesCount++;
    await sleep(resizeEveryMs);
  }
}

/** Writes to its own names, one after the other, until the server is killed. */
async function write(
  maps: ResourceClient<ConfigMap>,
  writer: number,
  acknowledged: string[],
  inFlight: Map<string, InFlight>,
  onWrite: () => void,
  end: { readonly killed: boolean },
): Promise<void> {
  for (;;) {
    const key = `w${writer}-${below(prng, namesEach)}`;
    const was = held.get(key);
    const number = ++writeNumber;
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: key }, data: { n: String(number) } };
    const verb = was === undefined ? 'create' : (['update', 'patch', 'delete'] as const)[below(prng, 3)]!;
    const will = verb === 'delete' ? undefined : number;
    const type = { create: 'ADDED', update: 'MODIFIED', patch: 'MODIFIED', delete: 'DELETED' }[verb];
    const event = `${type} ${key} ${will ?? was}`;
    inFlight.set(key, { will, event });
    try {
      if (verb === 'create') await maps.create(object);
      else if (verb === 'update') await maps.update(object);
      else if (verb === 'patch') await maps.patch(key, 'merge', { data: object.data });
      else await maps.delete(key);
    } catch (error) {
      if (error instanceof StatusError || !end.killed) throw error;
      return;
    }
    inFlight.delete(key);
    held.set(key, will);
    onWrite();
    acknowledged.push(event);
  }
}

/** The events since a revision, up to one that is made now. */
async function replay(maps: ResourceClient<ConfigMap>, since: string): Promise<string[]> {
  const marker = `marker-${++writeNumber}`;
  await maps.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: marker }, data: { n: '0' } });
  const told: string[] = [];
  for await (const { type, object } of maps.watch({
    resourceVersion: since,
    timeoutSeconds: 20,
    signal: AbortSignal.timeout(20_000),
  })) {
    if (object.metadata.name === marker) break;
    told.push(`${type} ${object.metadata.name} ${object.data?.['n']}`);
  }
  await maps.delete(marker);
  return told;
}

/** `POD: container ID, restarted N times: command (pid) started at TICKS` of the deployment that nobody changes, sorted. */
async function containersLeftInPeace(): Promise<readonly string[]> {
  const { stdout } = await kubectl('get', 'pods', '-l', 'app=hello', '-o', 'json');
  const { items } = JSON.parse(stdout) as {
    readonly items: readonly {
      readonly metadata: { readonly name: string };
      readonly status: {
        readonly containerStatuses?: readonly { readonly containerID?: string; readonly restartCount: number }[];
      };
    }[];
  };
  return items
    .flatMap(({ metadata, status }) =>
      (status.containerStatuses ?? []).map(({ containerID = '', restartCount }) => {
        const id = containerID.replace(/^.*:\/\//, '');
        const processes = takeInventory({ only: (text) => id !== '' && text.includes(id) }).processes;
        return `${metadata.name}: container ${id}, restarted ${restartCount} times: ${processes.map(withStart).join('; ')}`;
      }),
    )
    .sort();
}

function withStart(line: string): string {
  const pid = /\((\d+)\)$/.exec(line)![1]!;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // Field 22; counted after the name, which may hold anything.
  return `${line} started at ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
}
