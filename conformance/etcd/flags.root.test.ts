/** Settings that are wrong: the reference and ours refuse them with the same words and exit codes. And where settings come from. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { freePorts } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';

const timeout = 60_000;
const folder = mkdtempSync(join(tmpdir(), 'etcd-flags-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const reference = [referenceBinary('etcd-server', 'etcd')];
const ours = [new URL('../../bin/wherry', import.meta.url).pathname, 'etcd'];

interface Refusal {
  readonly code: number | null;
  /** The first line, or what the log says the error is. */
  readonly said: string;
}

async function refusalOf(
  command: readonly string[],
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Refusal> {
  const [binary, ...before] = command;
  const child = spawn(binary!, [...before, ...args], {
    cwd: mkdtempSync(join(folder, 'run-')),
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearTimeout(late);
  // The launcher says when it makes the bundle.
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('bundle made'));
  const log = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, string>);
  const told = log.find(({ msg, level }) => msg === 'failed to verify flags' || level === 'fatal');
  return { code, said: told === undefined ? (lines[0] ?? '') : (told['error'] ?? told['msg'] ?? '') };
}

const wrong: readonly (readonly string[])[] = [
  ['--nope'],
  ['--nope=1', '--name=a'],
  ['--name'],
  ['operand'],
  ['--pre-vote=x'],
  ['--client-cert-auth=maybe'],
  ['--heartbeat-interval=x'],
  ['--heartbeat-interval=-1'],
  ['--quota-backend-bytes=x'],
  ['--snapshot-count=-1'],
  ['--max-txn-ops=1.5'],
  ['--grpc-keepalive-timeout=5'],
  ['--initial-cluster-state=x'],
  ['--listen-client-urls=foo'],
  ['--listen-client-urls=http://localhost'],
  ['--listen-client-urls=http://127.0.0.1:1/path'],
  ['--listen-client-urls=http://example.com:2379', '--advertise-client-urls=http://example.com:2379'],
  ['--listen-peer-urls=ftp://127.0.0.1:1'],
  ['--listen-client-urls=http://127.0.0.1:1'],
  ['--auto-compaction-mode=x'],
  ['--election-timeout=100', '--heartbeat-interval=90'],
  ['--election-timeout=60000'],
  ['--heartbeat-interval=0'],
  ['--logger=x'],
  ['--listen-metrics-urls=https://127.0.0.1:1'],
  ['--config-file=/nonexistent/etcd.yaml'],
];

for (const args of wrong)
  test(`refused: ${args.join(' ')}`, { timeout }, async () => {
    const [wanted, found] = [await refusalOf(reference, args), await refusalOf(ours, args)];
    assert.deepEqual(found, wanted);
  });

test('a variable and a flag for the same setting', { timeout }, async () => {
  const env = { ETCD_NAME: 'a' };
  const [wanted, found] = [await refusalOf(reference, ['--name=b'], env), await refusalOf(ours, ['--name=b'], env)];
  assert.equal(found.code, wanted.code);
  assert.match(wanted.said, /conflicting environment variable is shadowed/);
  assert.match(found.said, /conflicting environment variable is shadowed/);
});

test('what is not here is refused by name', { timeout }, async () => {
  for (const args of [['--discovery-srv=example.com'], ['--enable-pprof'], ['--wal-dir=/elsewhere']]) {
    const { code, said } = await refusalOf(ours, args);
    assert.equal(code, 1);
    assert.match(said, /is not supported/);
  }
});

/** Starts, waits until it serves, and ends it. @returns its log */
async function started(
  command: readonly string[],
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const [binary, ...before] = command;
  const child = spawn(binary!, [...before, ...args], {
    cwd: mkdtempSync(join(folder, 'run-')),
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const { promise, resolve } = Promise.withResolvers<void>();
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.includes('ready to serve client requests')) resolve();
  });
  child.on('close', () => resolve());
  await promise;
  assert.equal(child.exitCode, null, text);
  child.kill('SIGTERM');
  const code = await new Promise<number | null>((end) => child.on('close', end));
  // Go's program ends by the signal.
  assert.ok(code === 0 || child.signalCode === 'SIGTERM', `${code}`);
  return text;
}

for (const [who, command] of Object.entries({ reference, ours })) {
  test(`settings from variables: ${who}`, { timeout }, async () => {
    const [client, peer] = await freePorts(2);
    const data = join(folder, `${who}-env`);
    await started(command, ['--name=from-flag'], {
      ETCD_DATA_DIR: data,
      ETCD_LISTEN_CLIENT_URLS: `http://127.0.0.1:${client}`,
      ETCD_ADVERTISE_CLIENT_URLS: `http://127.0.0.1:${client}`,
      ETCD_LISTEN_PEER_URLS: `http://127.0.0.1:${peer}`,
      ETCD_UNKNOWN: 'x',
    });
    assert.ok(readFileSync(join(data, 'member/snap/db')).length > 0);
  });

  test(`settings from a file, and from nowhere else: ${who}`, { timeout }, async () => {
    const [client, peer] = await freePorts(2);
    const data = join(folder, `${who}-file`);
    const file = join(folder, `${who}.yaml`);
    writeFileSync(
      file,
      [
        'name: from-file',
        `data-dir: ${data}`,
        `listen-client-urls: http://127.0.0.1:${client}`,
        `advertise-client-urls: http://127.0.0.1:${client}`,
        `listen-peer-urls: "http://127.0.0.1:${peer}"`,
        'initial-cluster: from-file=http://localhost:2380',
        'heartbeat-interval: 50',
        'grpc-keepalive-min-time: 5000000000',
        'auto-compaction-mode: revision',
        'auto-compaction-retention: "1000"',
        'max-txn-ops: 77',
        'pre-vote: true',
        'unknown-key: whatever',
        'client-transport-security:',
        '  client-cert-auth: false',
        '',
      ].join('\n'),
    );
    await started(command, [`--config-file=${file}`, '--name=from-flag', '--data-dir=/nonexistent'], {
      ETCD_DATA_DIR: '/nonexistent',
    });
    assert.ok(readFileSync(join(data, 'member/snap/db')).length > 0);
  });
}
