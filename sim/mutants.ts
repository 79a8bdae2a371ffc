/**
 * Shows that the simulator catches what it is there for: each patch under `sim/mutants/` plants one data bug, most of them bugs that upstream once had, into a
 * copy of the sources; the simulator must find it within a number of seeds.
 *   bin/node sim/mutants.ts [--seeds=N] [--operations=N] [NAME...]
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const folder = join(root, 'sim/mutants');
const flag = (name: string, otherwise: number) =>
  Number(process.argv.find((argument) => argument.startsWith(`--${name}=`))?.split('=')[1] ?? otherwise);
const seeds = flag('seeds', 200);
const operations = flag('operations', 3000);
const names = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const print = (line: string) => process.stdout.write(`${line}\n`);

const patches = readdirSync(folder)
  .filter((file) => file.endsWith('.patch'))
  .map((file) => file.slice(0, -'.patch'.length))
  .filter((name) => names.length === 0 || names.includes(name))
  .sort();
let caught = 0;
for (const name of patches) {
  const said = await hunt(name).catch((error: unknown) => {
    print(`BROKEN ${name}: ${error instanceof Error ? error.message : error}`);
    return undefined;
  });
  if (said !== undefined) caught++;
  print(`${said === undefined ? 'MISSED' : 'caught'} ${name.padEnd(34)} ${said ?? `in ${seeds} seeds`}`);
}
print(`${caught} of ${patches.length} planted bugs caught`);
process.exit(caught === patches.length ? 0 : 1);

/** @returns at which seed it was caught, and how */
async function hunt(name: string): Promise<string | undefined> {
  const copy = mkdtempSync(join(tmpdir(), 'wherry-mutant-'));
  try {
    for (const part of ['src', 'sim', 'package.json']) cpSync(join(root, part), join(copy, part), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const patched = spawnSync('git', ['apply', '-p1', '-'], {
      cwd: copy,
      // Outside of any repository, whatever surrounds the copy.
      env: { ...process.env, GIT_CEILING_DIRECTORIES: tmpdir() },
      input: readFileSync(join(folder, `${name}.patch`)),
    });
    if (patched.status !== 0) throw new Error(`${name}.patch does not apply: ${patched.stderr}`);
    const child = spawn(process.execPath, ['sim/main.ts', `--seeds=${seeds}`, `--operations=${operations}`], {
      cwd: copy,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    if (code === 0) return undefined;
    const found = /seed (\d+) broke a promise.*\n\s*(.*)/.exec(output);
    if (found === null) throw new Error(`${name} ended with ${code}: ${errors}`);
    return `at seed ${found[1]}: ${found[2]!.slice(0, 120)}`;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
