/**
 * The life of an etcd cluster, by the lines of `docs/etcd-clusters.md`: three members, watched, backed up, grown, a dead one replaced, a lost quorum
 * recovered, a backup restored. In namespaces of its own; needs the right to make them.
 *
 *     bin/node e2e/etcd-cluster.ts
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { documented, startDocumented } from './documented.ts';
import { enterOwnNamespaces } from './own-namespaces.ts';
import { eventually, type Running, run, start } from './shell.ts';
import { createSteps } from './steps.ts';

enterOwnNamespaces();

const root = new URL('..', import.meta.url).pathname;
const home = mkdtempSync(join(tmpdir(), 'wherry-etcd-'));
mkdirSync(join(home, 'bin'));
symlinkSync(join(root, 'bin/wherry'), join(home, 'bin/wherry'));
const env = { HOME: home, PATH: `${join(home, 'bin')}:${process.env['PATH']}` };
const { step, finish } = createSteps();
const folder = (name: string) => join(home, name);
const backup = join(home, 'backup.db');

const members = new Map<string, Running>();
const etcdctl = async (port: number, ...args: string[]) =>
  (await run('wherry', ['etcdctl', '--endpoints', `http://127.0.0.1:${port}`, ...args], { env })).stdout;
const serves = (port: number) =>
  eventually(
    `the member at ${port} answers`,
    () => run('wherry', ['etcdctl', '--endpoints', `http://127.0.0.1:${port}`, 'get', 'x'], { env, mayFail: true }),
    ({ code }) => code === 0,
    60_000,
  );
const kill = async (name: string) => {
  const member = members.get(name)!;
  members.delete(name);
  await member.kill();
};
const startMember = {
  m1: () =>
    startDocumented(
      'wherry etcd --name m1 --data-dir DIR1 --listen-peer-urls http://127.0.0.1:12380 --initial-advertise-peer-urls http://127.0.0.1:12380 --listen-client-urls http://127.0.0.1:12379 --advertise-client-urls http://127.0.0.1:12379 --initial-cluster m1=http://127.0.0.1:12380,m2=http://127.0.0.1:22380,m3=http://127.0.0.1:32380',
      { env, words: { DIR1: folder('m1') } },
    ),
  m2: () =>
    startDocumented(
      'wherry etcd --name m2 --data-dir DIR2 --listen-peer-urls http://127.0.0.1:22380 --initial-advertise-peer-urls http://127.0.0.1:22380 --listen-client-urls http://127.0.0.1:22379 --advertise-client-urls http://127.0.0.1:22379 --initial-cluster m1=http://127.0.0.1:12380,m2=http://127.0.0.1:22380,m3=http://127.0.0.1:32380',
      { env, words: { DIR2: folder('m2') } },
    ),
  m3: () =>
    startDocumented(
      'wherry etcd --name m3 --data-dir DIR3 --listen-peer-urls http://127.0.0.1:32380 --initial-advertise-peer-urls http://127.0.0.1:32380 --listen-client-urls http://127.0.0.1:32379 --advertise-client-urls http://127.0.0.1:32379 --initial-cluster m1=http://127.0.0.1:12380,m2=http://127.0.0.1:22380,m3=http://127.0.0.1:32380',
      { env, words: { DIR3: folder('m3') } },
    ),
};
const ports = { m1: 12379, m2: 22379, m3: 32379, m4: 42379 };

interface MemberList {
  readonly members: readonly { readonly ID: number; readonly name: string }[];
}
/** In hexadecimal digits, as the commands take it. */
const idOf = async (name: string) => {
  const line = (await etcdctl(ports.m1, 'member', 'list')).split('\n').find((each) => each.includes(`, ${name}, `));
  assert.ok(line, `${name} is a member`);
  return line.split(',')[0]!;
};

try {
  await step('three members', async () => {
    for (const name of ['m1', 'm2', 'm3'] as const) members.set(name, startMember[name]());
    for (const name of ['m1', 'm2', 'm3'] as const) await serves(ports[name]);
    await etcdctl(ports.m2, 'put', 'k', 'v');
    assert.equal(await etcdctl(ports.m3, 'get', 'k'), 'k\nv\n');
  });
  await step('watching', async () => {
    const status = await documented(
      'wherry etcdctl --endpoints http://127.0.0.1:12379 endpoint status --cluster -w table',
      { env },
    );
    for (const port of [12379, 22379, 32379]) assert.match(status.stdout, new RegExp(`127.0.0.1:${port}`));
    const health = await documented('wherry etcdctl --endpoints http://127.0.0.1:12379 endpoint health --cluster', {
      env,
    });
    assert.equal(`${health.stdout}${health.stderr}`.match(/is healthy/g)?.length, 3);
    assert.equal(
      (await documented('wherry etcdctl --endpoints http://127.0.0.1:12379 alarm list', { env })).stdout,
      '',
    );
  });
  await step('the doctor finds nothing that fails', async () => {
    const { stdout } = await documented('wherry etcdctl --endpoints http://127.0.0.1:12379 doctor', { env });
    assert.match(stdout, /^OK {4}members {8}3 of 3 members answer$/m);
    assert.match(stdout, /^(?:OK|WARN): 0 FAIL, /m);
  });
  await step('a backup', async () => {
    await documented('wherry etcdctl --endpoints http://127.0.0.1:12379 snapshot save FILE', {
      env,
      words: { FILE: backup },
    });
    await etcdctl(ports.m1, 'put', 'k', 'after the backup');
  });
  await step('a continuous backup, restored to one revision', async () => {
    const archive = folder('archive');
    const words = { ARCHIVE: archive };
    const running = startDocumented(
      'wherry etcdctl --endpoints http://127.0.0.1:12379 backup run ARCHIVE --retain 168h',
      { env, words },
    );
    await eventually(
      'it has a base',
      async () => running.output(),
      (output) => output.includes('base of revision'),
    );
    const revisionNow = async () => {
      const status = JSON.parse(await etcdctl(ports.m1, 'endpoint', 'status', '-w', 'json')) as readonly {
        readonly Status: { readonly header: { readonly revision: number } };
      }[];
      return status[0]!.Status.header.revision;
    };
    await etcdctl(ports.m1, 'put', 'point', 'wanted');
    const wanted = String(await revisionNow());
    await etcdctl(ports.m1, 'put', 'point', 'not wanted');
    const last = await revisionNow();
    await eventually(
      'it has seen that',
      () => documented('wherry etcdutl backup status ARCHIVE', { env, words, mayFail: true }),
      ({ stdout }) => stdout.includes(` to ${last}\n`),
    );
    await running.interrupt();
    assert.match((await documented('wherry etcdutl backup verify ARCHIVE', { env, words })).stdout, /all sums match/);
    const { stdout: report } = await documented(
      'wherry etcdctl --endpoints http://127.0.0.1:12379 doctor --backup-dir ARCHIVE --max-backup-age 25h -w json',
      { env, words },
    );
    assert.match(report, /"name":"backup","result":"OK","seen":"archive /);
    const restored = folder('from-archive');
    await documented(
      'wherry etcdutl backup restore ARCHIVE --revision REVISION --name m1 --data-dir NEW1 --initial-advertise-peer-urls http://127.0.0.1:12380 --initial-cluster m1=http://127.0.0.1:12380,m2=http://127.0.0.1:22380,m3=http://127.0.0.1:32380',
      { env, words: { ...words, REVISION: wanted, NEW1: restored } },
    );
    const { stdout } = await run('wherry', ['etcdutl', 'hashkv', join(restored, 'member/snap/db')], { env });
    assert.match(stdout, new RegExp(`, ${last + 1_000_000_000}, `));
  });
  await step('growing: a learner joins, catches up, gets a vote', async () => {
    // Members take no changes until they have been connected for five seconds.
    const added = await eventually(
      'the members have been connected for long enough',
      () =>
        documented(
          'wherry etcdctl --endpoints http://127.0.0.1:12379 member add m4 --learner --peer-urls http://127.0.0.1:42380',
          { env, mayFail: true },
        ),
      ({ stderr }) => !stderr.includes('etcdserver: unhealthy cluster'),
    );
    assert.equal(added.code, 0, added.stderr);
    const cluster = `m1=http://127.0.0.1:12380,m2=http://127.0.0.1:22380,m3=http://127.0.0.1:32380,m4=http://127.0.0.1:42380`;
    members.set(
      'm4',
      start(
        'wherry',
        [
          'etcd',
          ...['--name', 'm4', '--data-dir', folder('m4'), '--initial-cluster-state', 'existing'],
          ...[
            '--listen-peer-urls',
            'http://127.0.0.1:42380',
            '--initial-advertise-peer-urls',
            'http://127.0.0.1:42380',
          ],
          ...['--listen-client-urls', 'http://127.0.0.1:42379', '--advertise-client-urls', 'http://127.0.0.1:42379'],
          ...['--initial-cluster', cluster],
        ],
        env,
      ),
    );
    await eventually(
      'the learner has started',
      () => documented('wherry etcdctl --endpoints http://127.0.0.1:12379 member list -w table', { env }),
      ({ stdout }) => / m4 .*42379/.test(stdout),
      60_000,
    );
    const id = await idOf('m4');
    await eventually(
      'it has caught up',
      () =>
        documented('wherry etcdctl --endpoints http://127.0.0.1:12379 member promote ID', {
          env,
          words: { ID: id },
          mayFail: true,
        }),
      ({ code }) => code === 0,
      60_000,
    );
    assert.equal(await etcdctl(ports.m4, 'get', 'k'), 'k\nafter the backup\n');
  });
  await step('a dead member is removed', async () => {
    const id = await idOf('m4');
    await kill('m4');
    const removed = () =>
      documented('wherry etcdctl --endpoints http://127.0.0.1:12379 member remove ID', {
        env,
        words: { ID: id },
        mayFail: true,
      });
    await eventually('it is removed', removed, ({ code }) => code === 0, 60_000);
    await assert.rejects(idOf('m4'));
  });
  await step('a lost quorum: the copies are compared, nothing changes, then one goes on', async () => {
    for (const name of ['m1', 'm2', 'm3']) await kill(name);
    const two = await run('wherry', ['etcdutl', 'recover', '--yes', folder('m2'), folder('m3')], {
      env,
      mayFail: true,
    });
    assert.equal(two.code, 1, 'two of three need no recovery');
    const words = { DIR3: folder('m3') };
    const plan = await documented('wherry etcdutl recover DIR3', { env, words });
    assert.match(plan.stdout, /Nothing has been changed/);
    const done = await documented('wherry etcdutl recover --yes DIR3', { env, words });
    assert.ok(done.stdout.includes(`${folder('m3')} is now a cluster of one`), done.stdout);
    members.set('m3', startMember.m3());
    await serves(ports.m3);
    assert.equal(await etcdctl(ports.m3, 'get', 'k'), 'k\nafter the backup\n');
    const list = JSON.parse(await etcdctl(ports.m3, 'member', 'list', '-w', 'json')) as MemberList;
    assert.deepEqual(
      list.members.map(({ name }) => name),
      ['m3'],
    );
    await kill('m3');
  });
  await step('the backup is restored', async () => {
    await documented(
      'wherry etcdutl snapshot restore FILE --name m1 --data-dir NEW1 --initial-advertise-peer-urls http://127.0.0.1:12380 --initial-cluster m1=http://127.0.0.1:12380,m2=http://127.0.0.1:22380,m3=http://127.0.0.1:32380 --bump-revision 1000000000 --mark-compacted',
      { env, words: { FILE: backup, NEW1: folder('new1') } },
    );
    for (const [name, port] of [
      ['m2', 22380],
      ['m3', 32380],
    ] as const)
      await run(
        'wherry',
        [
          ...['etcdutl', 'snapshot', 'restore', backup, '--name', name, '--data-dir', folder(`new${name[1]}`)],
          ...['--initial-advertise-peer-urls', `http://127.0.0.1:${port}`],
          '--initial-cluster',
          'm1=http://127.0.0.1:12380,m2=http://127.0.0.1:22380,m3=http://127.0.0.1:32380',
          ...['--bump-revision', '1000000000', '--mark-compacted'],
        ],
        { env },
      );
    for (const name of ['m1', 'm2', 'm3'] as const) {
      rmSync(folder(name), { recursive: true, force: true });
      symlinkSync(folder(`new${name[1]}`), folder(name));
      members.set(name, startMember[name]());
    }
    for (const name of ['m1', 'm2', 'm3'] as const) await serves(ports[name]);
    assert.equal(await etcdctl(ports.m3, 'get', 'k'), 'k\nv\n');
    assert.ok(Number(/"revision":(\d+)/.exec(await etcdctl(ports.m3, 'get', 'k', '-w', 'json'))![1]) > 1_000_000_000);
  });
} finally {
  for (const member of members.values()) await member.kill().catch(() => {});
  rmSync(home, { recursive: true, force: true });
}
process.exitCode = finish();
