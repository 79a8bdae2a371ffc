/**
 * `npm test`: every test that needs no special rights (`*.test.ts`). `--root` runs `*.root.test.ts` instead: those need root
 * and the reference packages, and run in a network and mount namespace of their own with loopback as the only interface, so that
 * no address of a test can leave the machine. `--changed` runs those that what has changed can break, `--times` prints the slowest files, `--verbose` each
 * test. Other arguments narrow the run to files whose path contains one of them.
 * Ends with one line, `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { changedFiles, testsOf } from './changed.ts';

const slowestCount = 25;
const root = new URL('..', import.meta.url).pathname;
const wantsRoot = process.argv.includes('--root');
if (wantsRoot && process.env['WHERRY_OWN_NETWORK'] === undefined) process.exit(enterOwnNetwork());
const needles = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));

const generated = spawnSync(process.execPath, [join(root, 'tools/gen.ts')], { stdio: 'inherit' });
if (generated.status !== 0) process.exit(1);

const changed = process.argv.includes('--changed') ? changedFiles(root) : undefined;
const all = ['src', 'tools', 'e2e', 'conformance', 'sim']
  .filter((folder) => existsSync(join(root, folder)))
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
  .filter(
    (entry) => entry.isFile() && entry.name.endsWith('.test.ts') && entry.name.endsWith('.root.test.ts') === wantsRoot,
  )
  .map((entry) => join(entry.parentPath, entry.name))
  .filter((file) => needles.length === 0 || needles.some((needle) => relative(root, file).includes(needle)))
  .sort();
const files = changed === undefined ? all : testsOf(root, all, changed);

const fixtures = process.env['WHERRY_FIXTURES'] ?? join(root, '../shared/fixtures');
if (!existsSync(fixtures))
  process.stdout.write(`no fixtures at ${fixtures}: suites that read upstream's test data do not run\n`);

if (files.length === 0) {
  process.stdout.write('0 passed, 0 failed\n');
  process.exit(needles.length === 0 ? 0 : 1);
}
if (changed !== undefined) process.stdout.write(`${files.length} of ${all.length} files of tests\n`);

let passed = 0;
let failed = 0;
const stream = run({ files, concurrency: wantsRoot ? 1 : 2, timeout: 10 * 60_000, cwd: root });
stream.on('test:pass', (event) => {
  if (event.details.type !== 'suite' && event.skip === undefined && event.todo === undefined) passed++;
});
stream.on('test:fail', () => {
  failed++;
});
const fileMs = new Map<string, number>();
stream.on('test:complete', ({ file = '', nesting, details }) => {
  if (nesting === 0) fileMs.set(file, (fileMs.get(file) ?? 0) + details.duration_ms);
});
const verbose = process.argv.includes('--verbose');
if (verbose) stream.compose(spec).pipe(process.stdout);
else
  stream.on('test:fail', (event) => {
    const cause = event.details.error.cause;
    process.stdout.write(`FAILED ${event.file === undefined ? '' : relative(root, event.file)}: ${event.name}\n`);
    process.stdout.write(`${cause instanceof Error ? cause.stack : String(cause ?? event.details.error)}\n`);
  });
if (!verbose) stream.resume();
stream.on('close', finish);
stream.on('end', finish);

let finished = false;
function finish(): void {
  if (finished) return;
  finished = true;
  if (process.argv.includes('--times'))
    for (const [file, ms] of [...fileMs].sort(([, a], [, b]) => b - a).slice(0, slowestCount))
      process.stdout.write(`${(ms / 1000).toFixed(1).padStart(6)} s ${relative(root, file)}\n`);
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

function enterOwnNetwork(): number {
  const inside = ['ip link set lo up && exec "$0" "$@"', process.execPath, ...process.argv.slice(1)];
  const result = spawnSync('unshare', ['--net', '--mount', '--propagation', 'private', 'sh', '-c', ...inside], {
    stdio: 'inherit',
    env: { ...process.env, WHERRY_OWN_NETWORK: '1' },
  });
  if (result.error) throw result.error;
  return result.status ?? 1;
}
