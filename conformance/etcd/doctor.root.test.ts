/**
 * `etcdctl doctor` on clusters of three, of the reference and of ours: all well, alarms, backups, authentication, a member that hangs, one that is
 * dead, and none left. What it says to type is typed.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  AlarmRequest,
  AlarmRequest_AlarmAction,
  AlarmType,
  Maintenance,
  StatusRequest,
  Watch,
  WatchCreateRequest,
} from '#api-etcd/gen/rpc.ts';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { createAuthority } from '#pki/certificate-authority.ts';
import { sleep } from '#std/clock.ts';
import { EtcdCluster, type Kind, type MemberProcess } from '#testkit/etcd-cluster.ts';
import { freePorts, startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';

const timeout = 240_000;
const bin = new URL('../../bin', import.meta.url).pathname;

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Report {
  readonly result: string;
  readonly checks: readonly {
    readonly name: string;
    readonly result: string;
    readonly seen: string;
    readonly next: readonly { readonly command: string }[];
  }[];
}

function sh(command: string): Promise<Said> {
  const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}` };
  return new Promise((resolve) => {
    execFile('sh', ['-c', command], { env, timeout: 120_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

const etcdctl = ({ clientUrl }: Pick<MemberProcess, 'clientUrl'>, ...args: readonly string[]) =>
  sh(['wherry', 'etcdctl', '--endpoints', clientUrl, ...args].join(' '));

/** How fast a disk and how busy a machine are is not looked at here. */
const lenient =
  '--interval 200ms --max-fsync 100s --max-commit 100s --max-round-trip 100s --max-leader-changes 1000'.split(' ');

async function doctor(member: Pick<MemberProcess, 'clientUrl'>, ...flags: readonly string[]) {
  const { code, stdout, stderr } = await etcdctl(member, ...flags, 'doctor', ...lenient, '-w', 'json');
  assert.ok(stdout.startsWith('{'), stderr);
  const report = JSON.parse(stdout) as Report;
  assert.equal(code, report.result === 'FAIL' ? 1 : 0);
  const check = (name: string) => report.checks.find((each) => each.name === name)!;
  const not = (...wanted: readonly string[]) =>
    Object.fromEntries(
      report.checks.flatMap(({ name, result, seen }) =>
        wanted.includes(result) ? [] : [[name, `${result}: ${seen}`]],
      ),
    );
  return { code, result: report.result, check, not };
}

/** Asks again until it is so: a cluster agrees on its version some seconds after its start, and may elect anew meanwhile. */
async function until<T>(attempt: () => Promise<T>, isSo: (value: T) => boolean): Promise<T> {
  for (let left = 20; ; left--) {
    const value = await attempt();
    if (isSo(value) || left === 0) return value;
    await sleep(systemClock, 500);
  }
}

type Diagnosed = Awaited<ReturnType<typeof doctor>>;

/** Asks again until these checks, and no others, find something: a busy machine may elect anew at any time. */
async function untilFaulty(asked: () => Promise<Diagnosed>, ...names: readonly string[]): Promise<Diagnosed> {
  const faultsOf = ({ not }: Diagnosed) => Object.keys(not('OK', 'SKIP'));
  const said = await until(asked, (value) => String(faultsOf(value)) === String(names));
  assert.deepEqual(faultsOf(said), names, JSON.stringify(said.not('OK', 'SKIP')));
  return said;
}

async function alarm(cluster: EtcdCluster, member: MemberProcess, of: AlarmType): Promise<bigint> {
  await using channel = cluster.channel(member);
  const { header } = await channel.unary(Maintenance.methods.status, StatusRequest.create());
  const memberID = header!.memberId;
  const request = AlarmRequest.create({ action: AlarmRequest_AlarmAction.ACTIVATE, memberID, alarm: of });
  await channel.unary(Maintenance.methods.alarm, request);
  return memberID;
}

for (const kind of ['ours', 'reference'] as const satisfies readonly Kind[])
  test(`a cluster of ${kind}: well, with alarms, with backups, with users, without one member, without most`, {
    timeout,
  }, async () => {
    await using cluster = await EtcdCluster.start([kind, kind, kind]);
    const [m0, m1, m2] = cluster.members as [MemberProcess, MemberProcess, MemberProcess];
    await etcdctl(m0, 'put', 'k', 'v');

    const well = await untilFaulty(() => doctor(m1));
    for (const name of ['backup', 'certificates']) assert.equal(well.check(name).result, 'SKIP');
    assert.equal(well.check('members').seen, '3 of 3 members answer');
    assert.match(well.check('hashes').seen, /^3 members hold the same at revision \d+$/);
    assert.match(well.check('quota').seen, /^m0 \d+ kB of 2\.1 GB \(0%\), m1 /);
    assert.match(well.check('clock').seen, /m0 .* \+\/-\d+(\.\d)?m?s/);
    const lines = (await etcdctl(m1, 'doctor', ...lenient)).stdout.trimEnd().split('\n');
    assert.equal(lines.length, 21);
    assert.ok(lines.includes('OK    learners       no learner'), lines.join('\n'));

    await using channel = cluster.channel(m1);
    {
      // A client that watches and does not read.
      await using watch = channel.open(Watch.methods.watch);
      const createRequest = WatchCreateRequest.create({ key: Buffer.from('k') });
      watch.send({ requestUnion: { case: 'createRequest', value: createRequest } });
      const client = createEtcdClient(channel, systemClock);
      const slow = await until(
        async () => {
          for (let i = 0; i < 20; i++) await client.put({ key: Buffer.from('k'), value: Buffer.alloc(200_000) });
          return (await doctor(m0)).check('watchers');
        },
        ({ result }) => result === 'WARN',
      );
      assert.match(slow.seen, /^m1: [1-9]\d* of [1-9]\d* watchers? behind/);
    }

    const corrupt = (await alarm(cluster, m2, AlarmType.CORRUPT)).toString(16);
    const damaged = await doctor(m0);
    assert.equal(damaged.code, 1);
    assert.match(damaged.check('alarms').seen, /^CORRUPT at m2 /);
    assert.ok(damaged.check('alarms').next[0]!.command.endsWith(` member remove ${corrupt}`));
    assert.equal((await etcdctl(m0, 'alarm', 'disarm')).code, 0);

    await alarm(cluster, m0, AlarmType.NOSPACE);
    const full = await doctor(m0);
    assert.match(full.check('alarms').seen, /^NOSPACE at m0 /);
    assert.match(full.check('health').seen, /m0: \/health: ALARM NOSPACE/);
    for (const { command } of full.check('alarms').next) assert.equal((await sh(command)).code, 0, command);
    assert.equal((await doctor(m0)).check('alarms').result, 'OK', 'what it said to type has helped');

    const folder = join(cluster.folder, 'backups');
    assert.match((await doctor(m0, '--backup-dir', folder)).check('backup').seen, /holds no backup/);
    await sh(`mkdir ${folder}`);
    await etcdctl(m0, 'snapshot', 'save', `${folder}/snapshot`);
    const backed = (await doctor(m0, '--backup-dir', folder)).check('backup');
    assert.equal(backed.result, 'OK');
    assert.match(backed.seen, /^snapshot \S+\/snapshot, of .* ago, revision \d+, 0 behind$/);
    const old = (await doctor(m0, '--backup-dir', folder, '--max-backup-age', '0s')).check('backup');
    assert.equal(old.result, 'FAIL');
    assert.match(old.seen, /: older than 0ms$/);

    for (const words of ['user add root:secret', 'user grant-role root root', 'auth enable'])
      assert.equal((await etcdctl(m0, ...words.split(' '))).code, 0, words);
    const known = await untilFaulty(() => doctor(m0, '--user', 'root:secret'));
    assert.match(known.check('auth').seen, /^on, revision \d+$/);
    const unknown = await doctor(m0);
    assert.match(unknown.check('auth').seen, /^on/);
    assert.equal(unknown.check('hashes').result, 'SKIP');
    m0.child!.kill('SIGSTOP');
    const both = { clientUrl: `${m0.clientUrl},${m1.clientUrl}` };
    const stuck = await doctor(both, '--user', 'root:secret', '--command-timeout', '6s');
    assert.match(
      stuck.check('members').seen,
      /^m0 does not answer at \S+: no answer in time$/,
      'though it was asked first',
    );
    m0.child!.kill('SIGCONT');
    const disabled = await until(
      () => etcdctl(m0, '--user', 'root:secret', 'auth', 'disable'),
      ({ code }) => code === 0,
    );
    assert.equal(disabled.code, 0, disabled.stderr);

    const add = () => etcdctl(m0, 'member', 'add', 'm3', '--learner', '--peer-urls', 'http://127.0.0.1:9');
    const added = await until(add, ({ code }) => code === 0);
    assert.equal(added.code, 0, added.stderr);
    assert.match((await add()).stderr, /already exist/);
    const learning = await untilFaulty(() => doctor(m0), 'members', 'learners');
    assert.match(learning.check('members').seen, /^[0-9a-f]+ was added and has never started$/);
    assert.equal((await sh(learning.check('members').next[0]!.command)).code, 0);

    m2.child!.kill('SIGSTOP');
    const hung = await until(
      () => doctor(m0, '--command-timeout', '2s'),
      ({ check }) => /^m2 /.test(check('members').seen),
    );
    assert.match(hung.check('members').seen, /^m2 does not answer at \S+: no answer in time$/);
    m2.child!.kill('SIGCONT');

    await cluster.stop(m2, 'SIGKILL');
    const less = await untilFaulty(() => doctor(m0), 'members', 'quorum');
    assert.equal(less.code, 1);
    assert.match(less.check('members').seen, /^m2 does not answer at \S+: .*connection refused$/);
    assert.match(less.check('members').next[1]!.command, / member remove [0-9a-f]+$/);
    assert.match(less.check('quorum').seen, /^2 of 3 voters answer, 2 needed: none may be lost now$/);

    await cluster.stop(m1, 'SIGKILL');
    const alone = await until(
      () => doctor(m0, '--command-timeout', '1s'),
      ({ check }) => check('leader').result === 'FAIL',
    );
    assert.equal(alone.check('quorum').result, 'FAIL');
    assert.match(alone.check('leader').seen, /^m0: no leader/);
    await cluster.stop(m0, 'SIGKILL');
    const none = await doctor(m0);
    assert.match(none.check('members').seen, /^no member answers \(http\S+: .*connection refused\)$/);
  });

const servers = {
  reference: [referenceBinary('etcd-server', 'etcd')],
  ours: [join(bin, 'wherry'), 'etcd'],
};

for (const [who, command] of Object.entries(servers))
  test(`TLS of ${who}: certificates that end soon, and an authority that is not the server's`, {
    timeout,
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'doctor-tls-'));
    try {
      const file = (name: string, text: string) => {
        writeFileSync(join(folder, name), text);
        return join(folder, name);
      };
      const pki = { clock: systemClock, prng: systemPrng() };
      const authority = await createAuthority({ commonName: 'etcd-ca' }, pki);
      const other = await createAuthority({ commonName: 'other-ca' }, pki);
      const pair = await authority.issue({
        commonName: 'm1',
        usages: ['server', 'client'],
        ipAddresses: ['127.0.0.1'],
        validityDays: 10,
      });
      const [ca, cert, key] = [
        file('ca.crt', authority.certificate),
        file('m1.crt', pair.certificate),
        file('m1.key', pair.key),
      ];
      const [plain, secure] = await freePorts(2);
      const url = `https://127.0.0.1:${secure}`;
      await using _ = await startEtcdProcess({
        command,
        dataDir: join(folder, 'data'),
        clientPort: plain!,
        flags: [
          ...['--listen-client-urls', `http://127.0.0.1:${plain},${url}`, '--advertise-client-urls', url],
          ...['--cert-file', cert, '--key-file', key, '--trusted-ca-file', ca, '--client-cert-auth'],
        ],
      });
      const asked = (...flags: readonly string[]) =>
        sh(['wherry etcdctl --endpoints', url, ...flags, 'doctor -w json', ...lenient].join(' '));
      const tls = ['--cert', cert, '--key', key];
      const known = await until(
        () => asked('--cacert', ca, ...tls),
        ({ stdout }) => stdout.startsWith('{"result":"WARN"'),
      );
      assert.equal(known.code, 0, known.stdout);
      const report = JSON.parse(known.stdout) as Report;
      const faults = report.checks.filter(({ result }) => result === 'WARN' || result === 'FAIL');
      assert.deepEqual(
        faults.map(({ name }) => name),
        ['certificates'],
      );
      assert.match(
        faults[0]!.seen,
        new RegExp(`^default ${url} \\(CN=m1\\) ends in 9d 23h; --cert ${cert} \\(CN=m1\\) ends in 9d`),
      );
      for (const { command: typed } of faults[0]!.next) assert.match((await sh(typed)).stdout, /notAfter=/);

      const refused = await asked('--cacert', file('other.crt', other.certificate), ...tls);
      assert.equal(refused.code, 1);
      const [members] = (JSON.parse(refused.stdout) as Report).checks;
      assert.match(members!.seen, /^no member answers \(https:.*certificate/);
      assert.match(refused.stdout, new RegExp(`${url} .CN=m1. ends in`), 'it is seen all the same');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

for (const kind of ['ours', 'reference'] as const satisfies readonly Kind[])
  test(`where the peer port of ${kind} lets nobody in, clocks are read from the Date header`, { timeout }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'doctor-clock-'));
    try {
      const file = (name: string, text: string) => {
        writeFileSync(join(folder, name), text);
        return join(folder, name);
      };
      const authority = await createAuthority({ commonName: 'peer-ca' }, { clock: systemClock, prng: systemPrng() });
      const pair = await authority.issue({
        commonName: 'peer',
        usages: ['server', 'client'],
        ipAddresses: ['127.0.0.1'],
      });
      await using cluster = await EtcdCluster.start(
        [kind],
        [
          ...['--peer-cert-file', file('peer.crt', pair.certificate), '--peer-key-file', file('peer.key', pair.key)],
          ...['--peer-trusted-ca-file', file('ca.crt', authority.certificate), '--peer-client-cert-auth'],
        ],
      );
      const clock = (await doctor(cluster.members[0]!)).check('clock');
      assert.equal(clock.result, 'OK', clock.seen);
      assert.match(clock.seen, /^ahead of this machine: m0 .* \(by the Date header, to the second\)$/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
