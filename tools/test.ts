/**
 * `npm test`: every test that needs no special rights (`*.test.ts`). `--root` runs `*.root.test.ts` instead: those need root
 * and the reference packages, and run in a network and mount namespace of their own with loopback as the only interface, so that
 * no address of a test can leave the machine. `--changed` runs those that what has changed can break, `--times` prints the slowest files, `--verbose` each
 * test. With CI=true a file that failed runs once more, alone: what passes only then hangs on the machine's load, and is still a bug.
 * Other arguments narrow the run to files whose path contains one of them.
 * Ends with one line, `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { changedFiles, testsOf } from './changed.ts';

const slowestCount = 25;
/** More failures than these are no matter of load. */
const secondTriesMax = 5;
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

const verbose = process.argv.includes('--verbose');
const fileMs = new Map<string, number>();
const first = await runFiles(files, wantsRoot ? 1 : 2);
let { passed, failed } = first;
if (process.env['CI'] === 'true' && first.failedFiles.length > 0 && first.failedFiles.length <= secondTriesMax) {
  for (const file of first.failedFiles) {
    process.stdout.write(`second try: ${relative(root, file)}\n`);
    const again = await runFiles([file], 1);
    const before = first.ofFile.get(file)!;
    passed += again.passed - before.passed;
    failed += again.failed - before.failed;
  }
}
if (process.argv.includes('--times'))
  for (const [file, ms] of [...fileMs].sort(([, a], [, b]) => b - a).slice(0, slowestCount))
    process.stdout.write(`${(ms / 1000).toFixed(1).padStart(6)} s ${relative(root, file)}\n`);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

interface Counts {
  passed: number;
  failed: number;
}

interface Outcome extends Counts {
  readonly failedFiles: readonly string[];
  readonly ofFile: ReadonlyMap<string, Counts>;
}

async function runFiles(files: string[], concurrency: number): Promise<Outcome> {
  const ofFile = new Map<string, Counts>();
  const count = (file = '') => {
    let counts = ofFile.get(file);
    if (counts === undefined) ofFile.set(file, (counts = { passed: 0, failed: 0 }));
    return counts;
  };
  const stream = run({ files, concurrency, timeout: 10 * 60_000, cwd: root });
  stream.on('test:pass', (event) => {
    if (event.details.type !== 'suite' && event.skip === undefined && event.todo === undefined)
      count(event.file).passed++;
  });
  stream.on('test:fail', (event) => {
    count(event.file).failed++;
    if (verbose) return;
    const cause = event.details.error.cause;
    process.stdout.write(`FAILED ${event.file === undefined ? '' : relative(root, event.file)}: ${event.name}\n`);
    process.stdout.write(`${cause instanceof Error ? cause.stack : String(cause ?? event.details.error)}\n`);
  });
  stream.on('test:complete', ({ file = '', nesting, details }) => {
    if (nesting === 0) fileMs.set(file, (fileMs.get(file) ?? 0) + details.duration_ms);
  });
  const ended = new Promise<void>((resolve) => {
    stream.on('close', resolve);
    stream.on('end', resolve);
  });
  if (verbose) stream.compose(spec).pipe(process.stdout);
  else stream.resume();
  await ended;
  const sum = (of: keyof Counts) => [...ofFile.values()].reduce((total, counts) => total + counts[of], 0);
  const failedFiles = [...ofFile].filter(([file, { failed }]) => failed > 0 && file !== '').map(([file]) => file);
  return { passed: sum('passed'), failed: sum('failed'), failedFiles, ofFile };
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
