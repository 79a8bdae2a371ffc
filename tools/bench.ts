/**
 * `npm run bench`: runs the benchmarks under `bench/`, one after the other, each in a process of its own. Arguments narrow the run to files
 * whose name contains one of them. What a benchmark needs and does not find it says itself, in one line.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const folder = join(root, 'bench');
const needles = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const flags = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const files = (existsSync(folder) ? readdirSync(folder) : [])
  .filter((name) => name.endsWith('.ts'))
  .filter((name) => needles.length === 0 || needles.some((needle) => name.includes(needle)))
  .sort();

const generated = spawnSync(process.execPath, [join(root, 'tools/gen.ts')], { stdio: 'inherit' });
if (generated.status !== 0) process.exit(1);
let failed = 0;
for (const name of files) {
  process.stdout.write(`\n== ${name.replace(/\.ts$/, '')}\n`);
  if (spawnSync(process.execPath, [join(folder, name), ...flags], { stdio: 'inherit' }).status !== 0) failed++;
}
process.exit(failed === 0 ? 0 : 1);
