/** `wherry image` against a daemon: pack, list, import, remove; what it says when it cannot. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { makeLayer } from '#testkit/registry-process.ts';

const limit = { timeout: 30_000 };
const folder = mkdtempSync(join(tmpdir(), 'wherry-image-'));
const socket = join(folder, 'containerd.sock');
let daemon: ChildProcess;

before(async () => {
  const script = new URL('../testkit/our-containerd.ts', import.meta.url).pathname;
  daemon = spawn(process.execPath, [script, folder, `/wherry-image-${process.pid}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(daemon.stdout!, 'data');
});

after(async () => {
  daemon.kill('SIGTERM');
  await once(daemon, 'exit');
  rmSync(folder, { recursive: true });
});

async function wherry(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const main = new URL('./main.ts', import.meta.url).pathname;
  const env = { ...process.env, CONTAINERD_ADDRESS: socket };
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [main, 'image', ...args], { env })) };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

test('a folder is packed, listed and removed', limit, async () => {
  const source = join(folder, 'source');
  mkdirSync(join(source, 'bin'), { recursive: true });
  writeFileSync(join(source, 'bin/app'), 'app', { mode: 0o755 });
  symlinkSync('bin/app', join(source, 'app'));
  const packed = await wherry(
    'pack',
    source,
    '--name',
    'mine/app:1',
    '--entrypoint',
    '/app',
    '--cmd=a',
    '--env',
    'K=V',
  );
  assert.deepEqual(packed, { code: 0, stdout: 'Loaded image: docker.io/mine/app:1\n', stderr: '' });
  const listed = await wherry('ls');
  assert.match(
    listed.stdout,
    /^IMAGE +TAG +IMAGE ID +SIZE\ndocker.io\/mine\/app +1 +[0-9a-f]{13} +\S+kB\ndocker.io\/wherry\/hello +1 /,
  );
  const removed = await wherry('rm', 'mine/app:1');
  assert.match(removed.stdout, /^Untagged: mine\/app:1\nDeleted: sha256:\w+\n$/);
  assert.doesNotMatch((await wherry('ls')).stdout, /mine/);
});

test('an archive is imported, with the name that it lacks', limit, async () => {
  const layer = makeLayer({ file: { bytes: 'content' } });
  const config = {
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [await sha256(layer)] },
  };
  const path = join(folder, 'saved.tar.gz');
  writeFileSync(
    path,
    gzipSync(
      makeLayer({
        'manifest.json': { bytes: JSON.stringify([{ Config: 'c.json', RepoTags: null, Layers: ['l.tar'] }]) },
        'c.json': { bytes: JSON.stringify(config) },
        'l.tar': { bytes: layer },
      }),
    ),
  );
  const refused = await wherry('import', path);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^wherry: .*image without a name/);
  assert.equal((await wherry('import', path, '--name', 'saved:2')).stdout, 'Loaded image: docker.io/library/saved:2\n');
  assert.equal((await wherry('rm', 'saved:2')).code, 0);
});

test('what cannot be done is said in one line', limit, async () => {
  const lines: [string[], number, RegExp][] = [
    [['rm', 'nope:1'], 4, /^wherry: No such image: nope:1\n$/],
    [['import', '/nope.tar'], 4, /^wherry: \/nope.tar: ENOENT\n$/],
    [['pack', folder], 2, /^wherry: image pack needs --name REF\n$/],
    [['pack', folder, '--name', 'Not Good'], 1, /^wherry: invalid reference format/],
    [
      ['ls', '--address', '/nope.sock'],
      3,
      /^wherry: cannot reach the daemon at \/nope.sock: nothing listens there; is the cluster up\?\n$/,
    ],
    [['frobnicate'], 2, /^wherry: unknown command "frobnicate" for "wherry image"\n$/],
  ];
  for (const [args, code, text] of lines) {
    const answer = await wherry(...args);
    assert.equal(answer.code, code, args.join(' '));
    assert.match(answer.stderr, text);
  }
});

async function sha256(bytes: Buffer): Promise<string> {
  return `sha256:${Buffer.from(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes))).toString('hex')}`;
}
