/**
 * Control planes as processes: which of them live, how one is started, and how all end together. Each is of a session of its own with its output in a file, so
 * that neither the end of a terminal nor the death of whoever started it touches it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeFolder, readIfThere } from '#host/files.ts';
import { holderLives, type LockHolder, lockHolder } from '#host/lock-file.ts';
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

/** One that is known by the lock that it holds: its number alone may be another process's by now. */
interface HeldPlane extends LivePlane {
  readonly holder: LockHolder;
}

const pollMs = 25;
const askTimeoutMs = 2000;
/** Lines of its log that tell why one has ended. */
const lastWordsMax = 5;

/** Those that run, whether they answer or not. */
export function livePlanes(paths: ClusterPaths, layout: ClusterLayout): Promise<LivePlane[]> {
  return heldPlanes(paths, layout);
}

async function heldPlanes(paths: ClusterPaths, layout: ClusterLayout): Promise<HeldPlane[]> {
  const found = await Promise.all(layout.controlPlanes.map(({ name }) => heldPlane(paths, name)));
  return found.filter((plane) => plane !== undefined);
}

/** Undefined: it does not run. */
export function livePlane(paths: ClusterPaths, name: string): Promise<LivePlane | undefined> {
  return heldPlane(paths, name);
}

async function heldPlane(paths: ClusterPaths, name: string): Promise<HeldPlane | undefined> {
  const holder = await lockHolder(planePaths(paths, name).lock);
  return holder && { name, pid: holder.pid, holder };
}

/**
 * Starts some of the control planes. Resolves with their pids when all serve.
 * @throws Error with the last words of one that ended; the signal's reason
 */
export async function startPlanes(
  processes: PlaneProcesses,
  names: readonly string[],
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<LivePlane[]> {
  await makeFolder(processes.paths.run, 0o700);
  const children: Child[] = [];
  try {
    for (const name of names) children.push(await spawnPlane(processes, name));
    await Promise.all(children.map((child) => untilServing(processes, child, timeoutMs, signal)));
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
  /** Why there is no process, as long as anybody may ask. */
  failure: Error | undefined;
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
    const child: Child = {
      name,
      process: spawn(program!, [...before, ...args], { detached: true, stdio: ['ignore', output, output] }),
      failure: undefined,
    };
    // At once and for good: without a listener it would be the end of this process.
    child.process.on('error', (error) => {
      child.failure ??= error;
    });
    return child;
  } finally {
    closeSync(output);
  }
}

async function untilServing(
  { paths, clock }: PlaneProcesses,
  child: Child,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { name } = child;
  const { logFile } = planePaths(paths, name);
  const until = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const { exitCode, signalCode, pid } = child.process;
    const ended =
      child.failure?.message ??
      (exitCode === null && signalCode === null ? undefined : `exit ${exitCode ?? signalCode}`);
    if (ended !== undefined) throw new Error(`control plane ${name} ended (${ended})${await lastWords(logFile)}`);
    const status = await planeStatus(paths, name, { clock });
    if (status?.pid === pid && status?.phase === 'ready') return;
    if (clock.monotonicMs() > until)
      throw new Error(`control plane ${name} does not serve after ${timeoutMs / 1000} s: see ${logFile}`);
    await sleep(clock, pollMs, signal);
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
  const live = await heldPlanes(paths, layout);
  const tell = (step: string) =>
    Promise.all(
      live.map(({ name }) =>
        askControl(planePaths(paths, name).controlSocket, 'POST', step, { clock, timeoutMs: graceMs }).catch(() => {}),
      ),
    );
  await tell('/retire');
  await tell('/stop');
  const until = clock.monotonicMs() + graceMs;
  for (const { pid, holder } of live)
    while (await holderLives(holder)) {
      if (clock.monotonicMs() > until) kill(pid);
      await sleep(clock, pollMs);
    }
}

/** It may end by itself meanwhile. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
