/** The daemon's runtime on the real kernel: life cycle, streams, exec, adoption, and that nothing is left behind. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { checkSpec } from '#api-oci/parse-spec.ts';
import { systemClock } from '#host/clock.ts';
import { openCgroups } from '#host-linux/cgroups/open.ts';
import { findHelper } from '#host-linux/helper/binary.ts';
import { Zygote } from '#host-linux/helper/zygote.ts';
import { type Bundle, makeBundle, ordinaryConfig } from '#testkit/container-bundle.ts';
import { createRuntime } from './create-runtime.ts';
import { RuntimeError } from './error.ts';
import type { Attachment, Runtime, Stdio } from './runtime.ts';

const limit = { timeout: 20_000 };
const quiet: Stdio = { stdin: 'null', stdout: 'null', stderr: 'null' };
const piped: Stdio = { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe', waitForAttach: true };
const cgroupsPath = `/wherry-daemon-test-${process.pid}`;

let bundle: Bundle;
let stateDir: string;
let helper: Zygote;
let runtime: Runtime;

function open(): Runtime {
  return createRuntime({
    stateDir,
    helper,
    cgroups: openCgroups(),
    clock: systemClock,
    arch: process.arch as 'x64',
    warn: (message, error) => assert.fail(`${message}: ${error}`),
  });
}

before(() => {
  bundle = makeBundle();
  stateDir = mkdtempSync(join(tmpdir(), 'state-'));
  helper = new Zygote(findHelper());
  runtime = open();
});

afterEach(async () => {
  if ((await runtime.list()).length > 0) await runtime.delete('c', { force: true });
});

after(async () => {
  await runtime[Symbol.asyncDispose]();
  await helper[Symbol.asyncDispose]();
  assert.deepEqual(readdirSync(stateDir), [], 'no state is left');
  for (const folder of Object.values(openCgroups().folders(cgroupsPath)))
    assert.equal(existsSync(folder), false, `no cgroup is left at ${folder}`);
  rmSync(stateDir, { recursive: true });
  bundle[Symbol.dispose]();
});

type Config = ReturnType<typeof ordinaryConfig>;

function spec(script: string, change: (config: Config) => void = () => {}) {
  const config = ordinaryConfig(script, cgroupsPath);
  change(config);
  return checkSpec(config);
}

async function collect(attachment: Attachment): Promise<{ stdout: string; stderr: string }> {
  const out = { stdout: '', stderr: '' };
  for await (const { stream, data } of attachment.output) out[stream] += Buffer.from(data).toString();
  await attachment[Symbol.asyncDispose]();
  return out;
}

/** Runs a script to its end. */
async function run(script: string, change?: (config: Config) => void) {
  await runtime.create({ id: 'c', bundle: bundle.folder, spec: spec(script, change), stdio: piped });
  try {
    const output = collect(await runtime.attach('c'));
    await runtime.start('c');
    return { ...(await output), exit: await runtime.wait('c') };
  } finally {
    await runtime.delete('c', { force: true });
  }
}

test('a container runs from created to stopped and is gone after delete', limit, async () => {
  const created = await runtime.create({ id: 'c', bundle: bundle.folder, spec: spec('exit 7'), stdio: quiet });
  assert.equal(created.status, 'created');
  assert.ok(created.pid > 0);
  assert.equal(created.rootfs, bundle.rootfs);
  const { pid } = await runtime.start('c');
  assert.equal(pid, created.pid);
  const exit = await runtime.wait('c');
  assert.equal(exit.exitCode, 7);
  assert.equal(exit.signal, undefined);
  assert.equal((await runtime.state('c')).status, 'stopped');
  assert.equal((await runtime.state('c')).pid, 0);
  await assert.rejects(runtime.start('c'), /cannot start a container that has stopped/);
  assert.deepEqual(await runtime.delete('c'), exit);
  await assert.rejects(runtime.state('c'), { code: 'NotFound', message: 'container does not exist' });
});

test('streams are separate and reach a client whole', limit, async () => {
  const { stdout, stderr, exit } = await run('seq 1 50000; echo problem >&2');
  assert.equal(stdout.split('\n').length, 50001);
  assert.equal(stderr, 'problem\n');
  assert.equal(exit.exitCode, 0);
});

test('what a client feeds is read, and its end is seen', limit, async () => {
  await runtime.create({ id: 'c', bundle: bundle.folder, spec: spec('wc -c'), stdio: piped });
  const attachment = await runtime.attach('c');
  await runtime.start('c');
  const block = Buffer.alloc(1 << 20, 'x');
  if (!attachment.write(block)) await attachment.drained();
  attachment.closeStdin();
  assert.equal((await collect(attachment)).stdout.trim(), String(block.length));
  await runtime.wait('c');
  await runtime.delete('c');
});

test('last words are heard although input was on its way when the process ended', limit, async () => {
  await runtime.create({ id: 'c', bundle: bundle.folder, spec: spec('read line; echo "got $line"'), stdio: piped });
  const attachment = await runtime.attach('c');
  const { pid } = await runtime.start('c');
  attachment.write(Buffer.from('a line\n'));
  // The daemon is busy until the monitor has come and gone, and has not read what it said.
  while (existsSync(`/proc/${pid}`));
  for (const until = performance.now() + 50; performance.now() < until; );
  attachment.write(Buffer.from('more'));
  attachment.closeStdin();
  assert.equal((await collect(attachment)).stdout, 'got a line\n');
});

test('whoever attaches to a process that waits for its last line hears the answer', limit, async () => {
  await runtime.create({ id: 'c', bundle: bundle.folder, spec: spec('read line; echo "got $line"'), stdio: piped });
  await runtime.start('c');
  const attachment = await runtime.attach('c');
  attachment.write(Buffer.from('a line\n'));
  assert.equal((await collect(attachment)).stdout, 'got a line\n');
});

test('a terminal has a size, echoes, and is the controlling one', limit, async () => {
  const config = spec('stty size; tty=$(readlink /proc/self/fd/0); echo "$tty"; read line; echo "got $line"', (it) => {
    it.process['terminal'] = true;
    it.process['consoleSize'] = { height: 33, width: 99 };
  });
  await runtime.create({ id: 'c', bundle: bundle.folder, spec: config, stdio: piped });
  const attachment = await runtime.attach('c');
  const output = collect(attachment);
  await runtime.start('c');
  attachment.write(Buffer.from('hello\n'));
  const { stdout } = await output;
  assert.match(stdout, /33 99\r\n/);
  assert.match(stdout, /got hello\r\n/);
  await runtime.wait('c');
  await runtime.delete('c');
});

test('the log has one line a line, in the format of CRI', limit, async () => {
  const logPath = join(bundle.folder, 'log');
  const script = 'echo one; echo two >&2; printf "%020000d\\n" 0; printf end';
  await runtime.create({ id: 'c', bundle: bundle.folder, spec: spec(script), stdio: { ...quiet, logPath } });
  await runtime.start('c');
  await runtime.wait('c');
  await runtime.delete('c');
  const lines = readFileSync(logPath, 'utf8').trimEnd().split('\n');
  const rest = lines.map((line) => {
    assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) [FP] /);
    return line.slice(31);
  });
  assert.deepEqual(
    rest.filter((line) => line.startsWith('stderr')),
    ['stderr F two'],
  );
  const out = rest.filter((line) => line.startsWith('stdout'));
  assert.deepEqual(
    out.map((line) => line.slice(0, 9) + line.slice(9).length),
    ['stdout F 3', 'stdout P 16384', 'stdout F 3616', 'stdout F 3'],
  );
});

test('an exec runs beside the first process, as whom it was told', limit, async () => {
  await runtime.create({ id: 'c', bundle: bundle.folder, spec: spec('sleep 100'), stdio: quiet });
  await assert.rejects(
    runtime.createExec({ id: 'c', execId: 'e', process: { args: ['true'], cwd: '/' }, stdio: quiet }),
    /cannot exec in a stopped container/,
  );
  await runtime.start('c');
  const user = { uid: 1000, gid: 1000, additionalGids: [7] };
  await runtime.createExec({
    id: 'c',
    execId: 'e',
    process: { args: ['sh', '-c', 'id; hostname; ps; echo $HOME; exit 3'], env: ['PATH=/bin'], cwd: '/tmp', user },
    stdio: piped,
  });
  const output = collect(await runtime.attach('c', 'e'));
  await runtime.start('c', 'e');
  const { stdout } = await output;
  assert.match(stdout, /uid=1000\(alice\) gid=1000 groups=.*7/);
  assert.match(stdout, /^box$/m);
  assert.match(stdout, /sleep 100/);
  assert.match(stdout, /^\/home\/alice$/m);
  assert.equal((await runtime.wait('c', 'e')).exitCode, 3);
  assert.equal((await runtime.deleteExec('c', 'e'))?.exitCode, 3);
  await runtime.kill('c', 9);
  const exit = await runtime.wait('c');
  assert.equal(exit.exitCode, 137);
  assert.equal(exit.signal, 9);
  await assert.rejects(runtime.kill('c', 9), { code: 'NotFound', message: 'process already finished' });
  await runtime.delete('c');
});

test('an exec whose program is missing says so and leaves nothing', limit, async () => {
  await runtime.create({ id: 'c', bundle: bundle.folder, spec: spec('sleep 100'), stdio: quiet });
  await runtime.start('c');
  await assert.rejects(
    runtime.createExec({
      id: 'c',
      execId: 'e',
      process: { args: ['nosuch'], env: ['PATH=/bin'], cwd: '/' },
      stdio: quiet,
    }),
    /exec: "nosuch": executable file not found in \$PATH/,
  );
  await assert.rejects(runtime.wait('c', 'e'), { code: 'NotFound' });
  await runtime.delete('c', { force: true });
});

test('a creation that fails leaves no trace', limit, async () => {
  const create = (change: (config: Config) => void) =>
    runtime.create({ id: 'c', bundle: bundle.folder, spec: spec('true', change), stdio: quiet });
  await assert.rejects(
    create((config) => (config.process['args'] = ['/nosuch'])),
    /exec: "\/nosuch": stat \/nosuch: no such file or directory/,
  );
  await assert.rejects(
    create((config) =>
      config.mounts.push({ destination: '/x', type: 'bind', source: '/nonexistent', options: ['bind'] }),
    ),
    /error mounting "\/nonexistent" to rootfs at "\/x": .*no such file or directory/,
  );
  await assert.rejects(
    create((config) => (config.linux['resources'] = { memory: { limit: 1 }, pids: { limit: 1 } })),
    RuntimeError,
  );
  assert.deepEqual(await runtime.list(), []);
  assert.deepEqual(readdirSync(stateDir), []);
});

test('what the machine is, the container does not see', limit, async () => {
  const { stdout } = await run(
    'ls /proc/self/fd | wc -l; cat /proc/keys | wc -c; touch /proc/sys/kernel/hostname 2>&1; ls /sys/firmware | wc -l; ' +
      'grep -c . /proc/net/dev; cat /proc/1/comm; grep CapInh /proc/self/status; grep Groups /proc/self/status; ' +
      'mkdir /sys/x 2>&1; dd if=/dev/zero of=/dev/null count=1 2>/dev/null && echo zero; cat /dev/mem 2>&1',
  );
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines[0], '4', 'three streams and the folder that is listed');
  assert.equal(lines[1], '0');
  assert.match(lines[2]!, /Read-only file system/);
  assert.equal(lines[3], '0');
  assert.equal(lines[4], '3', 'lo alone');
  assert.equal(lines[5], 'sh');
  assert.match(lines[6]!, /0000000000000000$/);
  assert.match(lines[7]!, /^Groups:\s*$/);
  assert.match(lines[8]!, /Read-only file system/);
  assert.equal(lines[9], 'zero');
});

test('a read-only root with a writable tmpfs, a bind mount and hidden links out of it', limit, async () => {
  const { stdout } = await run(
    'touch /x 2>&1; touch /tmp/y && ls /tmp; cat /data/config.json | head -c 1; touch /data/z 2>&1',
    (config) => {
      config.root.readonly = true;
      config.mounts.push(
        { destination: '/tmp', type: 'tmpfs', source: 'tmpfs' },
        { destination: '/data', type: 'bind', source: bundle.folder, options: ['rbind', 'ro'] },
      );
      bundle.configure({});
    },
  );
  assert.match(stdout, /\/x: Read-only file system\ny\n\{.*\/data\/z: Read-only file system/s);
});

test('limits are in force', limit, async () => {
  const { stdout, exit } = await run(
    'ulimit -n; sh -c "sh -c true" 2>&1; dd if=/dev/zero of=/dev/null bs=64M count=1',
    (config) => {
      config.linux['resources'] = {
        memory: { limit: 16 << 20, swap: 16 << 20 },
        pids: { limit: 20 },
        cpu: { shares: 512 },
      };
    },
  );
  assert.match(stdout, /^1024$/m);
  assert.equal(exit.exitCode, 137, 'dd was killed and the shell says so');
  assert.equal(exit.oomKilled, true);
});

test('a user namespace maps root to nobody of the machine', limit, async () => {
  const mapping = [{ containerID: 0, hostID: 100_000, size: 65536 }];
  const { stdout, exit } = await run(
    'id -u; cat /proc/self/uid_map; echo x > /dev/null && echo ok; hostname',
    (config) => {
      (config.linux['namespaces'] as { type: string }[]).push({ type: 'user' }, { type: 'cgroup' });
      config.linux['uidMappings'] = mapping;
      config.linux['gidMappings'] = mapping;
      config.mounts = config.mounts.map((mount) =>
        mount.type === 'devpts' ? { ...mount, options: mount.options!.filter((word) => word !== 'gid=5') } : mount,
      );
    },
  );
  assert.match(stdout, /^0\n\s+0\s+100000\s+65536\nok\nbox\n$/);
  assert.equal(exit.exitCode, 0);
});

test('seccomp refuses what the profile does not allow', limit, async () => {
  const { stdout } = await run('mkdir /tmp/a 2>&1; hostname 2>&1; echo done', (config) => {
    config.linux['seccomp'] = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 }],
    };
  });
  assert.match(stdout, /Permission denied\nbox\ndone\n/);
});

test('hooks get the state and run in their order', limit, async () => {
  const log = join(bundle.folder, 'hooks');
  rmSync(log, { force: true });
  const hook = (name: string) => ({
    path: '/bin/sh',
    args: ['sh', '-c', `printf '%s ' ${name} >> ${log}; cat >> ${log}; echo >> ${log}`],
    env: ['PATH=/usr/bin:/bin'],
  });
  await run('true', (config) => {
    Object.assign(config, {
      hooks: {
        createRuntime: [hook('createRuntime')],
        createContainer: [hook('createContainer')],
        poststart: [hook('poststart')],
        poststop: [hook('poststop')],
      },
    });
  });
  const seen = readFileSync(log, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => [line.slice(0, line.indexOf(' ')), JSON.parse(line.slice(line.indexOf(' ') + 1))] as const);
  assert.deepEqual(
    seen.map(([name, { id, status, bundle: where }]) => [name, id, status, where]),
    [
      ['createRuntime', 'c', 'creating', bundle.folder],
      ['createContainer', 'c', 'creating', bundle.folder],
      ['poststart', 'c', 'running', bundle.folder],
      ['poststop', 'c', 'stopped', bundle.folder],
    ],
  );
  assert.ok(seen[0]![1].pid > 1);
  assert.equal(seen[3]![1].pid, 0);
});

test('a failing createRuntime hook fails the creation', limit, async () => {
  await assert.rejects(
    run('true', (config) => {
      Object.assign(config, {
        hooks: { createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', 'echo no >&2; exit 4'] }] },
      });
    }),
    /error running hook #0: error running hook: exit status 4, stdout: , stderr: no/,
  );
});

test('a container that is paused stands still, and dies when killed', limit, async () => {
  await runtime.create({ id: 'c', bundle: bundle.folder, spec: spec('while true; do sleep 1; done'), stdio: quiet });
  await runtime.start('c');
  await runtime.pause('c');
  assert.equal((await runtime.state('c')).status, 'paused');
  await runtime.resume('c');
  assert.equal((await runtime.state('c')).status, 'running');
  assert.ok((await runtime.pids('c')).length >= 1);
  const stats = await runtime.stats('c');
  assert.ok(stats.pids.current >= 1);
  await runtime.update('c', { pids: { limit: 33 } });
  assert.equal((await runtime.stats('c')).pids.limit, 33);
  await runtime.pause('c');
  await runtime.kill('c', 9);
  await runtime.wait('c');
  await runtime.delete('c');
});

test('another daemon adopts what the first one left running', limit, async () => {
  const logPath = join(bundle.folder, 'adopted');
  const script = 'sleep 0.5; echo after; sleep 100';
  await runtime.create({
    id: 'c',
    bundle: bundle.folder,
    spec: spec(script),
    stdio: { ...quiet, logPath },
    labels: { pod: 'p' },
  });
  await runtime.start('c');
  await runtime.createExec({
    id: 'c',
    execId: 'e',
    process: { args: ['sh', '-c', 'exit 5'], env: ['PATH=/bin'], cwd: '/' },
    stdio: quiet,
  });
  const before = await runtime.state('c');
  await runtime[Symbol.asyncDispose]();
  await helper[Symbol.asyncDispose]();
  helper = new Zygote(findHelper());
  runtime = open();
  const adopted = await runtime.adopt();
  assert.deepEqual(
    adopted.map(({ id, execId, status }) => [id, execId, status]),
    [
      ['c', undefined, 'running'],
      ['c', 'e', 'created'],
    ],
  );
  const now = await runtime.state('c');
  assert.equal(now.pid, before.pid);
  assert.equal(now.pidStartTime, before.pidStartTime);
  assert.equal(now.startedAt, before.startedAt);
  assert.deepEqual(now.labels, { pod: 'p' });
  await runtime.start('c', 'e');
  assert.equal((await runtime.wait('c', 'e')).exitCode, 5);
  await runtime.kill('c', 15, { all: true });
  await runtime.kill('c', 9);
  assert.equal((await runtime.wait('c')).exitCode, 137);
  await runtime.delete('c');
});

test('an end that no daemon saw is on record for the next one', limit, async () => {
  const script = 'trap "exit 9" TERM; while true; do sleep 0.05; done';
  await runtime.create({ id: 'c', bundle: bundle.folder, spec: spec(script), stdio: quiet });
  const { pid } = await runtime.start('c');
  await runtime[Symbol.asyncDispose]();
  // Again and again: the first process of a namespace does not hear a signal for which it has set no trap yet.
  const isKept = () =>
    readdirSync(stateDir, { recursive: true, encoding: 'utf8' }).some((path) => path.endsWith('/exit'));
  for (let tries = 0; !isKept(); tries++) {
    assert.ok(tries < 500, 'its end is written down');
    if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  runtime = open();
  const [found] = await runtime.adopt();
  assert.equal(found?.exit?.exitCode, 9);
  assert.equal((await runtime.wait('c')).exitCode, 9);
  await runtime.delete('c');
});
