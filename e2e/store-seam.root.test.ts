/**
 * The store is a seam: a cluster's objects outlive a killed control plane, the reference etcd opens the cluster's folder, the control
 * plane runs on the reference, and ours goes on where it left. Seen with kubectl.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { freePorts, startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'store-seam-'));
const kubeconfig = join(folder, 'kubeconfig');
const dataDir = join(folder, 'cluster');
const [port] = await freePorts(1);
after(() => rmSync(folder, { recursive: true, force: true }));

async function kubectl(...args: string[]): Promise<string> {
  const { stdout } = await run(referenceBinary('kubectl', 'kubectl'), ['--kubeconfig', kubeconfig, ...args], {
    timeout: 20_000,
    env: { ...process.env, HOME: folder },
  });
  return stdout;
}

/** Starts the control plane, without a node, and waits until it is ready. */
async function up(...flags: string[]): Promise<ChildProcess> {
  const child = spawn(
    new URL('../bin/wherry', import.meta.url).pathname,
    ['up', '--node', 'none', '--data-dir', dataDir, '--kubeconfig', kubeconfig, '--port', String(port), ...flags],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, HOME: folder, XDG_RUNTIME_DIR: folder } },
  );
  let said = '';
  for await (const chunk of child.stdout!.iterator({ destroyOnReturn: false })) {
    said += chunk;
    if (said.includes('ready in')) {
      child.stdout!.resume();
      return child;
    }
  }
  throw new Error(`the cluster did not come up:\n${said}`);
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

/** Waits until the ReplicaSet of a deployment wants as many pods. */
async function replicasOf(name: string, count: number): Promise<void> {
  const query = ['get', 'pods', '-l', `app=${name}`, '-o', 'name'];
  for (let tries = 0; tries < 100; tries++) {
    if ((await kubectl(...query)).trim().split('\n').length === count) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`${name} has not ${count} pods: ${await kubectl(...query)}`);
}

test('killed, on the reference, and back', { timeout: 120_000 }, async () => {
  let cluster = await up();
  await kubectl('create', 'deployment', 'first', '--image=example.test/a', '--replicas=5');
  await replicasOf('first', 5);
  await stop(cluster, 'SIGKILL');

  cluster = await up();
  await replicasOf('first', 5);
  await kubectl('scale', 'deployment', 'first', '--replicas=2');
  await replicasOf('first', 2);
  await stop(cluster, 'SIGTERM');

  const reference = await startEtcdProcess({
    command: [referenceBinary('etcd-server', 'etcd')],
    dataDir: join(dataDir, 'etcd'),
  });
  try {
    cluster = await up('--etcd-servers', reference.clientUrl);
    await replicasOf('first', 2);
    await kubectl('create', 'deployment', 'second', '--image=example.test/b', '--replicas=3');
    await replicasOf('second', 3);
    await stop(cluster, 'SIGTERM');
  } finally {
    await reference[Symbol.asyncDispose]();
  }

  cluster = await up();
  await replicasOf('first', 2);
  await replicasOf('second', 3);
  await kubectl('delete', 'deployment', 'first', 'second');
  await stop(cluster, 'SIGTERM');
});
