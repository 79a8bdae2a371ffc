/**
 * `npm run bench`: runs the benchmarks under `bench/`, one after the other, each in a process of its own. Arguments narrow the run to files
 * whose name contains one of them. What a benchmark needs and does not find it says itself, in one line. `--record` writes what they print, and on which
 * machine, to `bench/results.md`: do it on a machine that does nothing else.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const folder = join(root, 'bench');
const needles = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const record = process.argv.includes('--record');
const flags = process.argv.slice(2).filter((argument) => argument.startsWith('--') && argument !== '--record');
const files = (existsSync(folder) ? readdirSync(folder) : [])
  .filter((name) => name.endsWith('.ts'))
  .filter((name) => needles.length === 0 || needles.some((needle) => name.includes(needle)))
  .sort();

const generated = spawnSync(process.execPath, [join(root, 'tools/gen.ts')], { stdio: 'inherit' });
if (generated.status !== 0) process.exit(1);
let failed = 0;
// What else the machine did: it is part of the figures.
const load = loadavg()[0]!.toFixed(1);
const sections = new Map<string, string>();
for (const file of files) {
  const name = file.replace(/\.ts$/, '');
  process.stdout.write(`\n== ${name}\n`);
  const { code, said } = await run(join(folder, file));
  if (code === 0) sections.set(name, said);
  else failed++;
}
if (record) writeResults();
process.exit(failed === 0 ? 0 : 1);

/** Shows what it prints as it comes. */
function run(path: string): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = spawn(process.execPath, [path, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk;
    process.stdout.write(chunk);
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, said })));
}

/** A section for each benchmark; those that did not run now keep what they said last. */
function writeResults(): void {
  const path = join(folder, 'results.md');
  const known = existsSync(path) ? readFileSync(path, 'utf8') : '';
  for (const [, name, text] of known.matchAll(/^## (.+)\n\n```text\n([\s\S]*?)```$/gm))
    if (!sections.has(name!)) sections.set(name!, text!);
  const machine = `${availableParallelism()} cores of ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}, load ${load} from other programs at the start`;
  const date = spawnSync('git', ['log', '-1', '--format=%cs'], { cwd: root, encoding: 'utf8' }).stdout.trim();
  const body = [...sections]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, text]) => `## ${name}\n\n\`\`\`text\n${text.trim()}\n\`\`\`\n`);
  const head = `# Benchmarks\n\nWritten by \`npm run bench -- --record\` (${date}): ${machine}. Only ratios within one run compare; goals stand beside the figures.\n`;
  writeFileSync(path, [head, ...body].join('\n'));
}
