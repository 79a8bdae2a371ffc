/** Bad days of a machine: a port, a disk, a file or a right is not as it should be. Each on a cluster of its own without containers. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { RecordReader } from '#storage/wal/record.ts';
import type { Scene } from './scene.ts';
import { eventually, type Result, run, start, untilReady } from './shell.ts';

const nobody = 65_534;

/** The parts of the scene that are used. */
type Stage = Pick<Scene, 'name' | 'home' | 'env' | 'wherry' | 'kubectlPath'> & {
  step(name: string, run: () => Promise<void>): Promise<void>;
};

export async function smallClusterDays(stage: Stage): Promise<void> {
  const { step, home } = stage;
  await step('a port that is taken is named', async () => {
    const small = new SmallCluster(stage, 'port', 7443);
    const server = createServer().listen(small.port, '127.0.0.1');
    const { code, stderr } = await small.refusedUp();
    server.close();
    assert.equal(code, 3);
    assert.equal(stderr, 'wherry: port 7443 on 127.0.0.1 is taken by another program: choose another with --port\n');
    await small.purge();
  });
  await step('a kubeconfig that cannot be read is named, and left as it is', async () => {
    const small = new SmallCluster(stage, 'config', 7444);
    const broken = join(home, 'broken');
    writeFileSync(broken, 'clusters: [\n');
    const notYaml = await small.refusedUp('--kubeconfig', broken);
    assert.equal(notYaml.code, 3);
    assert.match(notYaml.stderr, /^wherry: \S+broken is not YAML: .*; it was left as it is: use --kubeconfig FILE\n$/);
    assert.equal(readFileSync(broken, 'utf8'), 'clusters: [\n');
    const folder = join(home, 'folder');
    mkdirSync(folder);
    const aFolder = await small.refusedUp('--kubeconfig', folder);
    assert.equal(aFolder.code, 3);
    assert.match(aFolder.stderr, /^wherry: \S+folder cannot be read: EISDIR.*\n$/);
    await small.purge();
  });
  await step(
    'no root: a hollow node, and it is said; a real one and files of others are refused in one line',
    async () => {
      const small = new SmallCluster(stage, 'user', 7446, nobody);
      const real = await small.refusedUp('--node', 'real');
      assert.equal(real.code, 3);
      assert.equal(real.stderr, 'wherry: a real node needs root on Linux: use sudo, or --node hollow\n');
      const others = join(home, 'of-root');
      writeFileSync(others, '', { mode: 0o600 });
      const unreadable = await small.refusedUp('--kubeconfig', others);
      assert.equal(unreadable.code, 3);
      assert.match(unreadable.stderr, /^wherry: \S+of-root cannot be read: EACCES: permission denied.*\n$/);
      const up = await small.up();
      assert.match(up.output(), /^node: hollow, pods without containers \(real ones need root on Linux\)\n/);
      await small.kubectl('create', 'deployment', 'hello', '--image=wherry/hello:1', '--replicas=2');
      await small.kubectl('rollout', 'status', 'deployment/hello', '--timeout=30s');
      assert.equal(await up.interrupt(), 0, up.output());
      await small.purge();
    },
  );
  await step('a full disk: one line, and everything acknowledged is there when there is room again', async () => {
    const disk = join(home, 'tmpfs');
    mkdirSync(disk);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=150m', 'tmpfs', disk]);
    try {
      const small = new SmallCluster(stage, 'disk', 7445, 0, join(disk, 'data'));
      const first = await small.up();
      await small.kubectl('create', 'configmap', 'kept', '--from-literal=a=b');
      await run('dd', ['if=/dev/zero', `of=${disk}/fill`, 'bs=1M'], { mayFail: true });
      const large = join(home, 'fill.txt');
      writeFileSync(large, 'x'.repeat(900_000));
      let writes = 0;
      await eventually(
        'a write is refused',
        () => small.tryKubectl('create', 'configmap', `m${++writes}`, `--from-file=x=${large}`),
        ({ code }) => code !== 0,
      );
      assert.equal(await first.ended, 3);
      assert.match(first.output(), /\nwherry: the store can write no more: .*no space left on device.*\n$/);
      rmSync(join(disk, 'fill'));
      const second = await small.up();
      assert.equal(await small.kubectl('get', 'configmap', 'kept', '-o', 'name'), 'configmap/kept\n');
      for (let i = 1; i < writes; i++) await small.kubectl('get', 'configmap', `m${i}`, '-o', 'name');
      assert.equal(await second.interrupt(), 0, second.output());
      await small.purge();
    } finally {
      await run('umount', ['-l', disk]);
    }
  });
  await step('a log whose tail a crash has cut short: all that was acknowledged is there', async () => {
    const small = new SmallCluster(stage, 'tail', 7447);
    await small.killAfterWrites();
    const { path, end } = small.log();
    // A record of 3000 bytes of which the first sector reached the disk.
    const bytes = readFileSync(path);
    bytes.writeUInt32LE(3000, end);
    bytes.fill(0xab, end + 8, end + 512 - (end % 512));
    writeFileSync(path, bytes);
    const up = await small.up();
    assert.equal(await small.kubectl('get', 'configmap', 'kept', '-o', 'name'), 'configmap/kept\n');
    assert.ok(existsSync(`${path}.broken`), 'the file as it was is kept');
    await small.kubectl('create', 'configmap', 'more', '--from-literal=a=b');
    assert.equal(await up.interrupt(), 0, up.output());
    await small.purge();
  });
  await step('a log that is damaged elsewhere is named with the place, and left as it is', async () => {
    const small = new SmallCluster(stage, 'damage', 7448);
    await small.killAfterWrites();
    const { path, end } = small.log();
    const bytes = readFileSync(path);
    const middle = end >> 1;
    bytes[middle] = bytes[middle]! ^ 1;
    writeFileSync(path, bytes);
    const { code, stderr } = await small.refusedUp();
    assert.equal(code, 3);
    assert.match(stderr, /^wherry: \S+\.wal is damaged at \d+: .+\n$/);
    assert.ok(readFileSync(path).equals(bytes));
    await small.purge();
  });
}

/** A cluster beside the one that everything else plays on: of root without a node, of a plain user with what it gets. */
class SmallCluster {
  readonly port: number;
  readonly #stage: Stage;
  readonly #flags: readonly string[];
  readonly #data: string;
  readonly #options: { readonly env: Readonly<Record<string, string>>; readonly uid: number; readonly gid: number };
  readonly #more: readonly string[];

  constructor(stage: Stage, word: string, port: number, uid = 0, data?: string) {
    this.#stage = stage;
    this.port = port;
    const folder = join(stage.home, word);
    mkdirSync(folder);
    chownSync(folder, uid, uid);
    // mkdtemp's folders are for their owner alone.
    chmodSync(stage.home, 0o755);
    this.#data = data ?? join(folder, 'data');
    this.#flags = ['--name', `${stage.name}-${word}`, '--data-dir', this.#data];
    this.#more = ['--port', String(port), ...(uid === 0 ? ['--node', 'none'] : [])];
    this.#options = { env: { ...stage.env, HOME: folder, KUBECONFIG: join(folder, 'kubeconfig') }, uid, gid: uid };
  }

  async up() {
    const up = start(this.#stage.wherry, ['up', ...this.#flags, ...this.#more], this.#options.env, this.#options);
    await untilReady(up);
    return up;
  }

  refusedUp(...more: string[]): Promise<Result> {
    const args = ['up', ...this.#flags, ...this.#more, ...more];
    return run(this.#stage.wherry, args, { ...this.#options, mayFail: true });
  }

  async kubectl(...args: string[]): Promise<string> {
    return (await run(this.#stage.kubectlPath, args, this.#options)).stdout;
  }

  tryKubectl(...args: string[]): Promise<Result> {
    return run(this.#stage.kubectlPath, args, { ...this.#options, mayFail: true });
  }

  /** Leaves a log with acknowledged writes and no clean end. */
  async killAfterWrites(): Promise<void> {
    const up = await this.up();
    await this.kubectl('create', 'configmap', 'kept', '--from-literal=a=b');
    up.child.kill('SIGKILL');
    await up.ended;
  }

  /** The store's log, and where its records end. */
  log(): { readonly path: string; readonly end: number } {
    const folder = join(this.#data, 'etcd/member/wal');
    const [name] = readdirSync(folder).filter((file) => file.endsWith('.wal'));
    const path = join(folder, name!);
    const reader = new RecordReader(readFileSync(path), true, 0);
    while (reader.next().kind === 'record');
    return { path, end: reader.offset };
  }

  async purge(): Promise<void> {
    await run(this.#stage.wherry, ['down', '--purge', ...this.#flags], this.#options);
    assert.ok(!existsSync(this.#data), 'its data is gone');
    assert.ok(!existsSync(join('/run/wherry', this.#flags[1]!)), 'what need not outlive a reboot is gone');
  }
}
