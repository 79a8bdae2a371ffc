/**
 * Control planes as processes: which of them live, how one is started, and how all end together. Each is of a session of its own with its output in a file, so
 * that neither the end of a terminal nor the death of whoever started it touches it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeFolder, readIfThere } from '#host/files.ts';
import { type Clock, sleep } from '#std/clock.ts';
import { askControl } from '../control-socket.ts';
import type { ClusterPaths } from '../paths.ts';
import type { ClusterLayout } from './layout.ts';
import { planePaths } from './plane-paths.ts';
import type { PlaneStatus } from './plane-status.ts';

/** Which cluster, and how this program starts itself again. */
export interface PlaneProcesses {
  readonly clusterName: string;
  readonly paths: ClusterPaths;
  readonly layout: ClusterLayout;
  /** Program and arguments before the command's own: `node launch.mjs server`. */
  readonly serverCommand: readonly string[];
  readonly clock: Clock;
}

export interface LivePlane {
  readonly name: string;
  readonly pid: number;
}

const pollMs = 25;
const askTimeoutMs = 2000;
/** Lines of its log that tell why one has ended. */
const lastWordsMax = 5;

/** Those that run, whether they answer or not. */
export async function livePlanes(paths: ClusterPaths, layout: ClusterLayout): Promise<LivePlane[]> {
  const found = await Promise.all(layout.controlPlanes.map(({ name }) => livePlane(paths, name)));
  return found.filter((plane) => plane !== undefined);
}

/** Undefined: it does not run. */
export async function livePlane(paths: ClusterPaths, name: string): Promise<LivePlane | undefined> {
  const text = await readIfThere(planePaths(paths, name).stateFile);
  const pid = text === undefined ? undefined : pidIn(text.toString('utf8'));
  return pid !== undefined && isPlane(pid, name) ? { name, pid } : undefined;
}

/** What a crash leaves may be cut short. */
function pidIn(text: string): number | undefined {
  try {
    return (JSON.parse(text) as { readonly pid: number }).pid;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Whether the process is there and is not another one that got the number later. */
function isPlane(pid: number, name: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  try {
    // Empty for one that has ended and was not waited for yet.
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(name);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH') return false;
    if (code !== 'ENOENT') throw error;
    return process.platform !== 'linux';
  }
}

/** Starts some of the control planes. Resolves with their pids when all serve. @throws Error with the last words of one that ended */
export async function startPlanes(
  processes: PlaneProcesses,
  names: readonly string[],
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<LivePlane[]> {
  await makeFolder(processes.paths.run, 0o700);
  const children = await Promise.all(names.map((name) => spawnPlane(processes, name)));
  try {
    await Promise.all(children.map((child) => untilServing(processes, child, timeoutMs)));
  } catch (error) {
    for (const { process: child } of children) if (child.exitCode === null) child.kill('SIGTERM');
    throw error;
  }
  // Until now they kept this process waiting for them, and no longer.
  for (const { process: child } of children) child.unref();
  return children.map(({ name, process: { pid } }) => ({ name, pid: pid! }));
}

interface Child {
  readonly name: string;
  readonly process: ChildProcess;
}

async function spawnPlane(
  { clusterName, paths, serverCommand: [program, ...before] }: PlaneProcesses,
  name: string,
): Promise<Child> {
  const { logFile } = planePaths(paths, name);
  await makeFolder(dirname(logFile), 0o700);
  const output = openSync(logFile, 'a', 0o600);
  try {
    const args = ['--name', clusterName, '--data-dir', paths.data, '--control-plane', name];
    const child = spawn(program!, [...before, ...args], { detached: true, stdio: ['ignore', output, output] });
    return { name, process: child };
  } finally {
    closeSync(output);
  }
}

async function untilServing(
  { paths, clock }: PlaneProcesses,
  { name, process: child }: Child,
  timeoutMs: number,
): Promise<void> {
  const { logFile } = planePaths(paths, name);
  const until = clock.monotonicMs() + timeoutMs;
  let ended: string | undefined;
  child.once('error', (error) => {
    ended = error.message;
  });
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) ended ??= `exit ${child.exitCode ?? child.signalCode}`;
    if (ended !== undefined) throw new Error(`control plane ${name} ended (${ended})${await lastWords(logFile)}`);
    const status = await planeStatus(paths, name, { clock });
    if (status?.pid === child.pid && status?.phase === 'ready') return;
    if (clock.monotonicMs() > until)
      throw new Error(`control plane ${name} does not serve after ${timeoutMs / 1000} s: see ${logFile}`);
    await sleep(clock, pollMs);
  }
}

/** Undefined when it does not answer. */
export async function planeStatus(
  paths: ClusterPaths,
  name: string,
  { clock, timeoutMs = askTimeoutMs }: { readonly clock: Clock; readonly timeoutMs?: number },
): Promise<PlaneStatus | undefined> {
  const { controlSocket } = planePaths(paths, name);
  try {
    return (await askControl(controlSocket, 'GET', '/plane', { clock, timeoutMs })) as PlaneStatus;
  } catch {
    // Nobody there, or somebody who is on the way in or out: all the same to whoever asks.
    return undefined;
  }
}

async function lastWords(logFile: string): Promise<string> {
  const text = (await readIfThere(logFile))?.toString('utf8') ?? '';
  const lines = text.trimEnd().split('\n').slice(-lastWordsMax).join('\n');
  return lines === '' ? '' : `:\n${lines}`;
}

/**
 * Ends all that live, in two steps: everything that gives back leases does so while the store still has its quorum, then all end. One that does not
 * answer is killed: what it had acknowledged, the others have too.
 */
export async function stopPlanes(
  paths: ClusterPaths,
  layout: ClusterLayout,
  { clock, graceMs }: { readonly clock: Clock; readonly graceMs: number },
): Promise<void> {
  const live = await livePlanes(paths, layout);
  const tell = (step: string) =>
    Promise.all(
      live.map(({ name }) =>
        askControl(planePaths(paths, name).controlSocket, 'POST', step, { clock, timeoutMs: graceMs }).catch(() => {}),
      ),
    );
  await tell('/retire');
  await tell('/stop');
  const until = clock.monotonicMs() + graceMs;
  for (const { name, pid } of live)
    while (isPlane(pid, name)) {
      if (clock.monotonicMs() > until) process.kill(pid, 'SIGKILL');
      await sleep(clock, pollMs);
    }
}
