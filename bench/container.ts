/**
 * How long a container takes from nothing to running to nothing: ours beside runc and crun, in one run, taking turns on one bundle, so that whatever
 * else the machine does hits all of them alike. Prints p50 of each step, p50 and p99 of all three, and the ratio to each. (A forced delete of runc looks every 100 ms whether the killed
 * container is gone.) Needs root, runc, crun and a static busybox.
 *   bench/container.ts [--times=N]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkSpec } from '#api-oci/parse-spec.ts';
import { systemClock } from '#host/clock.ts';
import { openCgroups } from '#host-linux/cgroups/open.ts';
import { findHelper } from '#host-linux/helper/binary.ts';
import { Zygote } from '#host-linux/helper/zygote.ts';
import { createRuntime } from '#runtime/create-runtime.ts';
import { findProgram, makeBundle, ordinaryConfig } from '#testkit/container-bundle.ts';

interface Contender {
  readonly name: string;
  create(id: string): Promise<void>;
  start(id: string): Promise<void>;
  /** Kills and removes. */
  remove(id: string): Promise<void>;
}

const times = Number(/--times=(\d+)/.exec(process.argv.join(' '))?.[1] ?? 40);
if (process.getuid?.() !== 0) {
  process.stdout.write('container: needs root\n');
  process.exit(0);
}

const cgroupsPath = `/wherry-bench-${process.pid}`;
using bundle = makeBundle();
bundle.configure(ordinaryConfig('exec sleep 1000', cgroupsPath));
const stateDir = mkdtempSync(join(tmpdir(), 'bench-'));
await using helper = new Zygote(findHelper());
await using runtime = createRuntime({
  stateDir,
  helper,
  cgroups: openCgroups(),
  clock: systemClock,
  arch: process.arch as 'x64' | 'arm64',
  warn: (message, error) => process.stderr.write(`${message}: ${error}\n`),
});
const spec = checkSpec(ordinaryConfig('exec sleep 1000', cgroupsPath));

const contenders: Contender[] = [
  {
    name: 'wherry',
    create: async (id) => {
      const stdio = { stdin: 'null', stdout: 'null', stderr: 'null' } as const;
      await runtime.create({ id, bundle: bundle.folder, spec, stdio });
    },
    start: async (id) => void (await runtime.start(id)),
    remove: async (id) => void (await runtime.delete(id, { force: true })),
  },
];
for (const name of ['runc', 'crun']) {
  const program = findProgram(name);
  if (program === undefined) process.stdout.write(`${name}: not installed\n`);
  else {
    const contender = commandLine(name, program);
    const refusal = await tryOut(contender);
    if (refusal === undefined) contenders.push(contender);
    else process.stdout.write(`${name}: does not run here: ${refusal}\n`);
  }
}

const measured = new Map(contenders.map(({ name }) => [name, { create: [], start: [], remove: [], all: [] } as Times]));
interface Times {
  create: number[];
  start: number[];
  remove: number[];
  all: number[];
}
for (let round = -2; round < times; round++)
  for (const { name, create, start, remove } of contenders) {
    const id = `${name}-${process.pid}`;
    const marks = [performance.now()];
    for (const step of [create, start, remove]) {
      await step(id);
      marks.push(performance.now());
    }
    // The first rounds warm caches of all of them.
    if (round < 0) continue;
    const into = measured.get(name)!;
    for (const [i, step] of (['create', 'start', 'remove'] as const).entries())
      into[step].push(marks[i + 1]! - marks[i]!);
    into.all.push(marks[3]! - marks[0]!);
  }

const ours = at(0.5, measured.get('wherry')!.all);
const goalMs = 6;
const row = (...cells: readonly string[]) =>
  process.stdout.write(`${cells.map((cell, i) => (i === 0 ? cell.padEnd(10) : cell.padStart(12))).join('')}\n`);
process.stdout.write(`${times} containers each, ms; goal: all under ${goalMs} ms at p50; Node ${process.version}\n`);
row('runtime', 'create p50', 'start p50', 'delete p50', 'all p50', 'all p99', 'wherry is');
for (const [name, { create, start, remove, all }] of measured) {
  const ratio = name === 'wherry' ? '' : `  ${(at(0.5, all) / ours).toFixed(1)} times as fast`;
  const p50s = [create, start, remove, all].map((values) => at(0.5, values).toFixed(1));
  row(name, ...p50s, at(0.99, all).toFixed(1), ratio);
}
rmSync(stateDir, { recursive: true });

function commandLine(name: string, program: string): Contender {
  const run = async (...args: string[]) => {
    const child = spawn(program, ['--root', join(stateDir, name), ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    // A container holds the stream on: only until the command has ended is it read.
    child.stderr.on('data', (chunk: Buffer) => {
      text += chunk;
    });
    const [code] = await once(child, 'exit');
    child.stderr.destroy();
    if (code !== 0) throw new Error(text.trim().split('\n').at(-1) ?? `exit code ${code}`);
  };
  return {
    name,
    create: (id) => run('create', '--bundle', bundle.folder, id),
    start: (id) => run('start', id),
    remove: (id) => run('delete', '--force', id),
  };
}

/** Why it cannot run a container here; undefined when it can. */
async function tryOut({ create, start, remove }: Contender): Promise<string | undefined> {
  const id = `try-${process.pid}`;
  try {
    await create(id);
    await start(id);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await remove(id).catch(() => {});
  }
}

function at(share: number, values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
