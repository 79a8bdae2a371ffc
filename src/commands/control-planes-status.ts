/** `wherry status` of a cluster of several control planes: a table of them and of the leases; with `--watch` as it changes. */
import {
  ClusterWatch,
  lagOf,
  leaderOf,
  leasesOf,
  type PlaneSight,
  stateOf,
  type ViewEvent,
} from '#cluster/control-planes/cluster-view.ts';
import type { ClusterLayout } from '#cluster/control-planes/layout.ts';
import { planePaths } from '#cluster/control-planes/plane-paths.ts';
import { livePlane, planeStatus } from '#cluster/control-planes/processes.ts';
import { askControl } from '#cluster/control-socket.ts';
import type { ClusterPaths } from '#cluster/paths.ts';
import { systemClock } from '#host/clock.ts';
import { residentBytes } from './resident-bytes.ts';
import type { RunningCluster } from './running.ts';
import { table } from './table.ts';

export interface StatusTarget {
  readonly name: string;
  readonly paths: ClusterPaths;
  readonly layout: ClusterLayout;
  /** The process of the node, which `up` is; undefined while it is dead. */
  readonly running: () => RunningCluster | undefined;
}

export interface Objects {
  readonly nodes: readonly { readonly name: string; readonly ready: boolean }[];
  readonly pods: Readonly<Record<string, number>>;
}

const askTimeoutMs = 1000;
const pollMs = 100;
/** Between two pictures on a terminal, two lines elsewhere. */
const refreshMs = 1000;

async function look({ paths }: StatusTarget, name: string): Promise<PlaneSight> {
  const pid = (await livePlane(paths, name))?.pid;
  const options = { clock: systemClock, timeoutMs: askTimeoutMs };
  const status = pid === undefined ? undefined : await planeStatus(paths, name, options);
  return { name, pid, status, memoryBytes: pid === undefined ? 0 : residentBytes(pid) };
}

/** Any of them that answers; nodes and pods are the same everywhere. */
async function objects({ paths }: StatusTarget, sights: readonly PlaneSight[]): Promise<Objects | undefined> {
  for (const sight of sights) {
    if (sight.status?.open !== true) continue;
    const { controlSocket } = planePaths(paths, sight.name);
    const options = { clock: systemClock, timeoutMs: askTimeoutMs };
    const answer = await askControl(controlSocket, 'GET', '/status', options).catch(() => undefined);
    if (answer !== undefined) return answer as Objects;
  }
  return undefined;
}

/** What `-o json` prints. */
export async function statusObject(target: StatusTarget, sights: readonly PlaneSight[]): Promise<object> {
  const running = target.running();
  const leader = leaderOf(sights);
  const node = running === undefined ? undefined : { pid: running.pid, memoryBytes: residentBytes(running.pid) };
  return {
    name: target.name,
    running: sights.some((sight) => stateOf(sight) === 'ready'),
    server: `https://127.0.0.1:${target.layout.port}`,
    ...(node && { pid: node.pid }),
    memoryBytes: sights.reduce((sum, { memoryBytes }) => sum + memoryBytes, node?.memoryBytes ?? 0),
    ...(await objects(target, sights)),
    leader: leader?.name,
    term: leader?.status?.member?.term,
    controlPlanes: sights.map((sight) => ({
      ...{ name: sight.name, pid: sight.pid, state: stateOf(sight), memoryBytes: sight.memoryBytes },
      ...(sight.status?.member && { ...sight.status.member, lag: lagOf(sight, leader) }),
    })),
    leases: leasesOf(sights).map((lease) => ({ ...lease, renewedAgoMs: renewedAgoMs(lease.renewTime) })),
  };
}

export function lookAtAll(target: StatusTarget): Promise<PlaneSight[]> {
  return Promise.all(target.layout.controlPlanes.map(({ name }) => look(target, name)));
}

export async function statusText(target: StatusTarget, sights: readonly PlaneSight[]): Promise<string> {
  const running = target.running();
  const found = await objects(target, sights);
  const leader = leaderOf(sights);
  const nodeBytes = running === undefined ? 0 : residentBytes(running.pid);
  const bytes = sights.reduce((sum, { memoryBytes }) => sum + memoryBytes, nodeBytes);
  const pods = Object.entries(found?.pods ?? {}).map(([phase, count]) => `${count} ${phase}`);
  const nodes = (found?.nodes ?? []).map((node) => `${node.name} ${node.ready ? 'Ready' : 'NotReady'}`);
  const lines = [
    `cluster   ${target.name} (${running === undefined ? 'its node does not run: `wherry up`' : `node: pid ${running.pid}, ${mib(nodeBytes)}`})`,
    `server    https://127.0.0.1:${target.layout.port}`,
    `nodes     ${found === undefined ? 'nobody can say' : nodes.join(', ') || 'none'}`,
    `pods      ${found === undefined ? 'nobody can say' : pods.join(', ') || 'none'}`,
    `store     ${leader === undefined ? 'nobody leads' : `revision ${leader.status!.member!.revision}, ${leader.name} leads`}`,
    `memory    ${mib(bytes)}`,
  ];
  if (target.layout.etcdServers !== undefined) lines[4] = `store     ${target.layout.etcdServers}`;
  const planes = sights.map((sight) => {
    const { name, pid, memoryBytes } = sight;
    const member = sight.status?.member;
    return [
      ...[name, pid === undefined ? '-' : String(pid), stateOf(sight), member?.role ?? '-'],
      ...[member?.term, member?.committedIndex, member?.appliedIndex, lagOf(sight, leader)].map((n) =>
        String(n ?? '-'),
      ),
      memoryBytes === 0 ? '-' : mib(memoryBytes),
    ];
  });
  const leases = leasesOf(sights).map(({ name, holder, renewTime }) => [
    ...[name, holder || 'nobody', `${(renewedAgoMs(renewTime) / 1000).toFixed(1)} s ago`],
  ]);
  return [
    ...lines,
    '',
    table(['CONTROL PLANE', 'PID', 'STATE', 'ROLE', 'TERM', 'COMMITTED', 'APPLIED', 'LAG', 'MEMORY'], planes),
    table(['LEASE', 'HOLDER', 'RENEWED'], leases),
  ].join('\n');
}

/** Until the process is ended. On a terminal in place; else a line an event and a line a second. */
export async function watchStatus(target: StatusTarget, stdout: NodeJS.WriteStream, json: boolean): Promise<never> {
  const watch = new ClusterWatch();
  const latest = new Map<string, PlaneSight>((await lookAtAll(target)).map((sight) => [sight.name, sight]));
  const sights = () => [...latest.values()];
  const recent: string[] = [];
  const tell = (events: readonly ViewEvent[]) => {
    for (const event of events) {
      if (json) stdout.write(`${JSON.stringify({ atMs: systemClock.now(), ...event })}\n`);
      else if (!stdout.isTTY) stdout.write(`${eventLine(event)}\n`);
      recent.push(eventLine(event));
      if (recent.length > eventsShownMax) recent.shift();
    }
  };
  const follow = async (name: string): Promise<never> => {
    for (;;) {
      latest.set(name, await look(target, name));
      tell(watch.look(sights(), systemClock.monotonicMs()));
      await pause(pollMs);
    }
  };
  const show = async (): Promise<never> => {
    for (;;) {
      if (json) stdout.write(`${JSON.stringify({ event: 'status', ...(await statusObject(target, sights())) })}\n`);
      else if (stdout.isTTY) stdout.write(`\x1b[H\x1b[J${await statusText(target, sights())}\n${recent.join('\n')}\n`);
      else stdout.write(`${statusLine(sights())}\n`);
      await pause(refreshMs);
    }
  };
  tell(watch.look(sights(), systemClock.monotonicMs()));
  return await Promise.race([...target.layout.controlPlanes.map(({ name }) => follow(name)), show()]);
}

const eventsShownMax = 10;

function eventLine(event: ViewEvent): string {
  const time = new Date(systemClock.now()).toISOString().slice(11, 23);
  switch (event.event) {
    case 'state':
      return `${time} ${event.name} is ${event.state}`;
    case 'leader': {
      const gap = event.gapMs === undefined ? '' : `, ${event.gapMs} ms without a leader`;
      return `${time} ${event.name} leads, term ${event.term}${gap}`;
    }
    case 'lease': {
      const gap = event.gapMs === undefined ? '' : `, ${event.gapMs} ms after its last renewal by another`;
      return `${time} ${event.name} is held by ${event.holder}${gap}`;
    }
  }
}

function statusLine(sights: readonly PlaneSight[]): string {
  const leader = leaderOf(sights);
  const member = leader?.status?.member;
  const planes = sights.map((sight) => {
    const lag = lagOf(sight, leader);
    return `${sight.name} ${stateOf(sight)}${lag === undefined ? '' : ` lag ${lag}`}`;
  });
  const leases = leasesOf(sights).map(({ name, holder }) => `${name} ${holder || 'nobody'}`);
  const leads =
    leader === undefined
      ? 'nobody leads'
      : `${leader.name} leads, term ${member?.term}, index ${member?.committedIndex}`;
  return `${new Date(systemClock.now()).toISOString().slice(11, 23)} ${[leads, ...planes, ...leases].join('; ')}`;
}

function renewedAgoMs(renewTime: string): number {
  return Math.max(0, systemClock.now() - Date.parse(renewTime));
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
