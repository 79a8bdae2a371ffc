/** Our runc and Debian's, side by side on one bundle: the same exit codes, output and reasons, call for call. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Bundle, findProgram, makeBundle, ordinaryConfig } from '#testkit/container-bundle.ts';

const limit = { timeout: 60_000 };
const folder = mkdtempSync(join(tmpdir(), 'runc-'));
const runcs = {
  ours: fileURLToPath(new URL('../../bin/runc', import.meta.url)),
  theirs: findProgram('runc') ?? '',
};
type Which = keyof typeof runcs;
let bundle: Bundle;

before(() => {
  assert.notEqual(runcs.theirs, '', 'runc is needed on the PATH (Debian: runc)');
  execFileSync(runcs.ours, ['--version']);
  bundle = makeBundle();
});

after(() => {
  for (const which of ['ours', 'theirs'] as const) call(which, 'delete', '--force', 'c');
  bundle[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

interface Answer {
  readonly code: number | null;
  readonly output: string;
  /** The last line of the log. */
  readonly reason: string;
}

/** Output goes to a file: a container that was created keeps it open. */
function call(which: Which, ...args: string[]): Answer {
  const [outPath, logPath] = [join(folder, `${which}.out`), join(folder, `${which}.log`)];
  rmSync(logPath, { force: true });
  const out = openSync(outPath, 'w');
  const { status } = spawnSync(
    runcs[which],
    ['--root', join(folder, which), '--log', logPath, '--log-format', 'json', ...args],
    { stdio: ['ignore', out, 'ignore'], timeout: 20_000 },
  );
  closeSync(out);
  const lines = readLog(logPath).filter(({ level }) => level === 'error');
  return { code: status, output: readFileSync(outPath, 'utf8'), reason: lines.at(-1)?.msg ?? '' };
}

function readLog(path: string): { level: string; msg: string }[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Calls both and expects one answer, which it gives. */
function both(...args: string[]): Answer {
  const [ours, theirs] = [call('ours', ...args), call('theirs', ...args)];
  assert.deepEqual(ours, theirs, args.join(' '));
  return ours;
}

/** Without a path of their own, containers of one id share a cgroup: what runs longer has to run one after the other. */
function configure(script: string, change: (config: ReturnType<typeof ordinaryConfig>) => void = () => {}): void {
  const config = ordinaryConfig(script, '');
  delete (config.linux as { cgroupsPath?: string }).cgroupsPath;
  change(config);
  bundle.configure(config);
}

const stateOf = (which: Which) => JSON.parse(call(which, 'state', 'c').output) as Record<string, unknown>;

/** What each answered, step for step. */
const lives: Record<Which, [string, Partial<Answer>][]> = { ours: [], theirs: [] };

test('a container that is not there', limit, () => {
  for (const verb of ['state', 'start', 'delete', 'pause', 'resume', 'ps'])
    assert.equal(both(verb, 'nope').code, 1, verb);
  assert.equal(both('kill', 'nope', 'TERM').code, 1);
  assert.equal(both('delete', '--force', 'nope').code, 0);
  assert.equal(both('list', '-q').output, '');
});

test('a run to its end: output and exit code', limit, () => {
  configure('echo out; exit 7');
  assert.deepEqual(both('run', '--bundle', bundle.folder, 'c'), { code: 7, output: 'out\n', reason: '' });
  configure('sh -c "kill -9 \\$\\$"; echo $?');
  assert.equal(both('run', '--bundle', bundle.folder, 'c').output, '137\n');
});

test('what cannot be created says why, and leaves nothing', limit, () => {
  configure('', (config) => {
    config.process['args'] = ['/nope'];
  });
  assert.match(
    both('create', '--bundle', bundle.folder, 'c').reason,
    /^runc create failed: unable to start container process: /,
  );
  configure('', (config) => {
    config.process['args'] = ['nope'];
  });
  both('run', '--bundle', bundle.folder, 'c');
  configure('', (config) => {
    config.process['cwd'] = 'relative';
  });
  assert.match(both('create', '--bundle', bundle.folder, 'c').reason, /Cwd must be an absolute path$/);
  assert.equal(both('list', '-q').output, '');
});

for (const which of ['ours', 'theirs'] as const)
  test(`from created to running to paused to stopped: ${which}`, limit, async () => {
    configure('sleep 1000');
    const steps: [string, Partial<Answer>][] = [];
    const step = (...args: string[]) => {
      const { code, output, reason } = call(which, ...args);
      steps.push([
        args.join(' ').replace(bundle.folder, 'B'),
        { code, output: args[0] === 'state' ? '' : output, reason },
      ]);
    };
    step('create', '--bundle', bundle.folder, '--pid-file', join(folder, 'pid'), 'c');
    assert.equal(stateOf(which)['status'], 'created');
    assert.equal(stateOf(which)['pid'], Number(readFileSync(join(folder, 'pid'), 'utf8')));
    step('create', '--bundle', bundle.folder, 'c');
    step('start', 'c');
    step('start', 'c');
    assert.equal(stateOf(which)['status'], 'running');
    step('exec', 'c', 'sh', '-c', 'echo in; exit 3');
    step('exec', '--user', '1000:1000', '--cwd', '/tmp', '--env', 'A=b', 'c', 'sh', '-c', 'id -u; pwd; echo $A');
    step('exec', 'c', 'nope');
    step('delete', 'c');
    step('pause', 'c');
    assert.equal(stateOf(which)['status'], 'paused');
    step('exec', 'c', 'true');
    step('resume', 'c');
    step('list', '-q');
    step('kill', 'c', 'KILL');
    for (let tries = 0; stateOf(which)['status'] !== 'stopped' && tries < 100; tries++) await sleep(20);
    step('exec', 'c', 'true');
    step('start', 'c');
    step('delete', 'c');
    step('delete', 'c');
    lives[which] = steps.map(([name, answer]) => [name.replace(/--pid-file \S+ /, ''), answer]);
    if (lives.ours.length > 0 && lives.theirs.length > 0) assert.deepEqual(lives.ours, lives.theirs);
  });
