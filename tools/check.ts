/**
 * `npm run check`: what every commit must pass, in under a minute. Types, lint and format, the house rules, and the tests that what has changed since the main line
 * can break. `--all` runs every test, as CI does; `--no-tests` none.
 */
import { spawnSync } from 'node:child_process';
import { checkHouse } from './house.ts';

const root = new URL('..', import.meta.url).pathname;

function step(name: string, run: () => boolean): void {
  const start = performance.now();
  const passed = run();
  process.stdout.write(
    `${passed ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)\n`,
  );
  if (!passed) process.exitCode = 1;
}

function node(...args: string[]): boolean {
  return spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status === 0;
}

step('generated code', () => node('tools/gen.ts'));
step('types', () => node('node_modules/typescript/bin/tsc', '-p', '.'));
step('lint and format', () => node('node_modules/@biomejs/biome/bin/biome', 'check', '--log-level=warn', '.'));
step('house rules', () => {
  const findings = checkHouse(root);
  for (const finding of findings) process.stdout.write(`${finding}\n`);
  return findings.length === 0;
});
if (!process.argv.includes('--no-tests'))
  step('tests', () => node('tools/test.ts', ...(process.argv.includes('--all') ? [] : ['--changed'])));
