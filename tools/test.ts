/**
 * `npm test`: every test that needs no special rights (`*.test.ts`). `--root` runs `*.root.test.ts` instead: those need root
 * and the reference packages, and each file runs in a network and mount namespace of its own with loopback as the only interface, so that
 * no address of a test can leave the machine, or be in another's way. Two files at a time. `--changed` runs those that what has changed can break, `--times` prints the slowest files, `--verbose` each
 * test. With CI=true a file that failed runs once more, alone: what passes only then hangs on the machine's load, and is still a bug.
 * Other arguments narrow the run to files whose path contains one of them.
 * Ends with one line, `N passed, N failed`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
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
const inOwnNetwork = process.env['WHERRY_OWN_NETWORK'] !== undefined;
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
const first = await runFiles(files, 2);
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

/** Each file is a run of its own: a test may stand in another file, and what fails belongs to the file that was run. */
async function runFiles(files: readonly string[], concurrency: number): Promise<Outcome> {
  const ofFile = new Map<string, Counts>();
  const waiting = files.values();
  const work = async () => {
    for (const file of waiting) ofFile.set(file, await runFile(file));
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const sum = (of: keyof Counts) => [...ofFile.values()].reduce((total, counts) => total + counts[of], 0);
  const failedFiles = [...ofFile].filter(([, { failed }]) => failed > 0).map(([file]) => file);
  return { passed: sum('passed'), failed: sum('failed'), failedFiles, ofFile };
}

async function runFile(file: string): Promise<Counts> {
  const startMs = performance.now();
  const counts = wantsRoot && !inOwnNetwork ? await runInOwnNetwork(file) : await runHere(file);
  fileMs.set(file, performance.now() - startMs);
  return counts;
}

async function runHere(file: string): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0 };
  const stream = run({ files: [file], concurrency: 1, timeout: 10 * 60_000, cwd: root });
  stream.on('test:pass', ({ details, skip, todo }) => {
    if (details.type !== 'suite' && skip === undefined && todo === undefined) counts.passed++;
  });
  stream.on('test:fail', (event) => {
    counts.failed++;
    if (verbose) return;
    const cause = event.details.error.cause;
    const where = event.file === undefined || event.file === file ? '' : ` (${relative(root, event.file)})`;
    process.stdout.write(`FAILED ${relative(root, file)}${where}: ${event.name}\n`);
    process.stdout.write(`${cause instanceof Error ? cause.stack : String(cause ?? event.details.error)}\n`);
  });
  const ended = new Promise<void>((resolve) => {
    stream.on('close', resolve);
    stream.on('end', resolve);
  });
  if (verbose) stream.compose(spec).pipe(process.stdout);
  else stream.resume();
  await ended;
  return counts;
}

/** The same program for one file, in namespaces of its own; its last line says how it went, what comes before is for people. */
async function runInOwnNetwork(file: string): Promise<Counts> {
  const own = ['--root', relative(root, file), ...(verbose ? ['--verbose'] : [])];
  const inside = ['ip link set lo up && exec "$0" "$@"', process.execPath, process.argv[1]!, ...own];
  const child = spawn('unshare', ['--net', '--mount', '--propagation', 'private', 'sh', '-c', ...inside], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, WHERRY_OWN_NETWORK: '1', CI: 'false' },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await once(child, 'close');
  const [last, said, passed, failed] = /(?:^|\n)((?:.*\n)*)(\d+) passed, (\d+) failed\n$/.exec(output) ?? [];
  if (last === undefined) process.stdout.write(`FAILED ${relative(root, file)}: ended without a count\n`);
  process.stdout.write(said ?? output);
  return last === undefined ? { passed: 0, failed: 1 } : { passed: Number(passed), failed: Number(failed) };
}
