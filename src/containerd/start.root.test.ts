/** The whole daemon on the real kernel: a pod from image to log, a restart that adopts it, and an end that leaves nothing. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ContainerConfig,
  ContainerState,
  ImageService,
  ImageSpec,
  LinuxPodSandboxConfig,
  LinuxSandboxSecurityContext,
  NamespaceMode,
  NamespaceOption,
  PodSandboxConfig,
  PodSandboxState,
  RuntimeService,
} from '#api-cri/gen/api.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { findHelper } from '#host-linux/helper/binary.ts';
import { Zygote } from '#host-linux/helper/zygote.ts';
import { unmount } from '#host-linux/mount.ts';
import { mountPointsUnder } from '#host-linux/mount-table.ts';
import { folderEntries } from '#image/pack.ts';
import { makeBundle } from '#testkit/container-bundle.ts';
import { assertInventory, type Inventory, takeInventory } from '#testkit/inventory.ts';
import type { PodNetwork } from './cri/pod-network.ts';
import { type Containerd, startContainerd } from './start.ts';

const limit = { timeout: 120_000 };
const folder = mkdtempSync(join(tmpdir(), 'wherry-containerd-'));
const cgroupRoot = `/wherry-start-test-${process.pid}`;
/** Ids of pods whose address was given back. */
const released: string[] = [];
const noNetwork: PodNetwork = {
  status: async () => ({ ready: true, reason: '', message: '' }),
  setup: async () => ({ ips: ['10.88.0.2'] }),
  teardown: async (_netns, { name }) => {
    released.push(name);
  },
};

/** Other tests may run on this machine. */
const mine = { only: (text: string) => text.includes(cgroupRoot) || text.includes(folder) };

let clean: Inventory;
let helper: Zygote;
let daemon: Containerd;

async function open(): Promise<Containerd> {
  return startContainerd({
    config: {
      root: join(folder, 'root'),
      state: join(folder, 'state'),
      cgroupRoot,
      version: '2.3.4',
      arch: process.arch,
    },
    deps: {
      clock: systemClock,
      prng: systemPrng(),
      helper,
      network: noNetwork,
      warn: (message, error) => assert.fail(`${message}: ${error}`),
    },
  });
}

before(async () => {
  clean = takeInventory(mine);
  helper = new Zygote(findHelper());
  daemon = await open();
  using bundle = makeBundle();
  await daemon.images.pack('test/box:1', {
    config: { Env: ['PATH=/bin'], Cmd: ['/bin/sh'] },
    entries: folderEntries(bundle.rootfs),
  });
});

after(async () => {
  await daemon.removeAll();
  await daemon[Symbol.asyncDispose]();
  await helper[Symbol.asyncDispose]();
  await assertInventory(clean, mine);
  rmSync(folder, { recursive: true });
});

function pod(name: string, network: NamespaceMode = NamespaceMode.POD): PodSandboxConfig {
  return PodSandboxConfig.create({
    metadata: { name, namespace: 'default', uid: `uid-${name}`, attempt: 0 },
    hostname: name,
    logDirectory: join(folder, 'logs', name),
    linux: LinuxPodSandboxConfig.create({
      cgroupParent: `/kubepods/besteffort/pod-${name}`,
      securityContext: LinuxSandboxSecurityContext.create({
        namespaceOptions: NamespaceOption.create({ network, pid: NamespaceMode.CONTAINER, ipc: NamespaceMode.POD }),
      }),
    }),
  });
}

async function runPod(
  config: PodSandboxConfig,
  script: string | undefined,
  image = 'test/box:1',
): Promise<{ podSandboxId: string; containerId: string }> {
  const { runPodSandbox, createContainer, startContainer } = RuntimeService.methods;
  const { podSandboxId } = await daemon.channel.unary(runPodSandbox, { config, runtimeHandler: '' });
  const { containerId } = await daemon.channel.unary(createContainer, {
    podSandboxId,
    sandboxConfig: config,
    config: ContainerConfig.create({
      metadata: { name: 'main', attempt: 0 },
      image: ImageSpec.create({ image }),
      command: script === undefined ? [] : ['sh', '-c', script],
      logPath: 'main/0.log',
    }),
  });
  await daemon.channel.unary(startContainer, { containerId });
  return { podSandboxId, containerId };
}

async function statusOf(containerId: string) {
  const { containerStatus } = RuntimeService.methods;
  return (await daemon.channel.unary(containerStatus, { containerId, verbose: true })).status!;
}

test('a pod runs, logs, answers exec and ends', limit, async () => {
  const config = pod('one');
  const { podSandboxId, containerId } = await runPod(
    config,
    'hostname; echo problem >&2; trap "exit 3" TERM; while :; do sleep 0.1; done',
  );
  const { execSync, podSandboxStatus, stopContainer, removePodSandbox, listPodSandbox } = RuntimeService.methods;
  const answer = await daemon.channel.unary(execSync, {
    containerId,
    cmd: ['sh', '-c', 'echo hi; id -u; exit 4'],
    timeout: 5n,
  });
  assert.equal(Buffer.from(answer.stdout).toString(), 'hi\n0\n');
  assert.equal(answer.exitCode, 4);
  const sandbox = await daemon.channel.unary(podSandboxStatus, { podSandboxId, verbose: false });
  assert.equal(sandbox.status?.network?.ip, '10.88.0.2');
  await daemon.channel.unary(stopContainer, { containerId, timeout: 5n });
  const status = await statusOf(containerId);
  assert.equal(status.state, ContainerState.CONTAINER_EXITED);
  assert.equal(status.exitCode, 3);
  const log = readFileSync(join(folder, 'logs/one/main/0.log'), 'utf8');
  assert.match(log, /^\S+ stdout F one$/m);
  assert.match(log, /^\S+ stderr F problem$/m);
  await daemon.channel.unary(removePodSandbox, { podSandboxId });
  assert.deepEqual((await daemon.channel.unary(listPodSandbox, { filter: undefined })).items, []);
});

test('after a restart of the daemon, containers that run are the same processes', limit, async () => {
  const { podSandboxId, containerId } = await runPod(pod('two', NamespaceMode.NODE), 'echo up; exec sleep 1000');
  const { podSandboxStatus, execSync, removePodSandbox } = RuntimeService.methods;
  const before = await statusOf(containerId);
  await daemon[Symbol.asyncDispose]();
  daemon = await open();
  assert.deepEqual(await statusOf(containerId), before);
  assert.equal(before.state, ContainerState.CONTAINER_RUNNING);
  const sandbox = await daemon.channel.unary(podSandboxStatus, { podSandboxId, verbose: false });
  assert.equal(sandbox.status?.state, PodSandboxState.SANDBOX_READY);
  const answer = await daemon.channel.unary(execSync, { containerId, cmd: ['echo', 'still here'], timeout: 5n });
  assert.equal(Buffer.from(answer.stdout).toString(), 'still here\n');
  await daemon.channel.unary(removePodSandbox, { podSandboxId });
});

test('a container that ended while no daemon was there is found ended', limit, async () => {
  const script = 'trap "exit 9" TERM; while true; do sleep 0.05; done';
  const { podSandboxId, containerId } = await runPod(pod('three', NamespaceMode.NODE), script);
  const pid = await mainPid(containerId);
  await daemon[Symbol.asyncDispose]();
  await endAlone(containerId, pid, 'SIGTERM');
  daemon = await open();
  const status = await statusOf(containerId);
  assert.equal(status.state, ContainerState.CONTAINER_EXITED);
  assert.equal(status.exitCode, 9);
  await daemon.channel.unary(RuntimeService.methods.removePodSandbox, { podSandboxId });
});

test('stopAll ends what runs and keeps the records; a stopped pod stays stopped after a restart', limit, async () => {
  const { podSandboxId, containerId } = await runPod(pod('four'), 'exec sleep 1000');
  await daemon.stopAll({ graceMs: 0 });
  // Nothing but records and files is left.
  await assertInventory(clean, mine);
  assert.equal((await statusOf(containerId)).exitCode, 137);
  await daemon[Symbol.asyncDispose]();
  daemon = await open();
  const { podSandboxStatus } = RuntimeService.methods;
  const sandbox = await daemon.channel.unary(podSandboxStatus, { podSandboxId, verbose: false });
  assert.equal(sandbox.status?.state, PodSandboxState.SANDBOX_NOTREADY);
  const images = await daemon.channel.unary(ImageService.methods.listImages, { filter: undefined });
  assert.deepEqual(
    images.images.map(({ repoTags }) => repoTags),
    [['docker.io/wherry/hello:1'], ['docker.io/test/box:1']],
  );
});

test('the built-in image serves its page, has a shell, and ends when asked to', limit, async () => {
  const { podSandboxId, containerId } = await runPod(pod('hello', NamespaceMode.NODE), undefined, 'wherry/hello:1');
  const { execSync, stopContainer, removePodSandbox } = RuntimeService.methods;
  const script =
    'ls -l /bin | wc -l; id; for i in 1 2 3 4 5 6 7 8 9 10; do wget -qO- http://127.0.0.1/healthz && break; sleep 0.2; done';
  const answer = await daemon.channel.unary(execSync, { containerId, cmd: ['sh', '-c', script], timeout: 5n });
  assert.equal(Buffer.from(answer.stderr).toString(), '');
  assert.match(Buffer.from(answer.stdout).toString(), /^30\nuid=0\(root\) gid=0\(root\).*\nok\n$/);
  await daemon.channel.unary(stopContainer, { containerId, timeout: 5n });
  assert.equal((await statusOf(containerId)).exitCode, 0);
  const log = readFileSync(join(folder, 'logs/hello/main/0.log'), 'utf8');
  assert.match(log, / stdout F \S+ 127.0.0.1 "GET \/healthz" 200$/m);
  await daemon.channel.unary(removePodSandbox, { podSandboxId });
});

test('after a reboot pods are not ready, containers have ended, addresses are given back', limit, async () => {
  const { podSandboxId, containerId } = await runPod(pod('reboot'), 'exec sleep 1000');
  const { podSandboxStatus, removePodSandbox, removeContainer } = RuntimeService.methods;
  const pid = await mainPid(containerId);
  await daemon[Symbol.asyncDispose]();
  // What a reboot does: processes, mounts and everything in memory are gone.
  await endAlone(containerId, pid, 'SIGKILL');
  for (const path of mountPointsUnder(folder)) unmount(path);
  rmSync(join(folder, 'state'), { recursive: true });
  daemon = await open();
  const status = await statusOf(containerId);
  assert.equal(status.state, ContainerState.CONTAINER_EXITED);
  assert.equal(status.exitCode, 255);
  assert.equal(status.reason, 'Unknown');
  const sandbox = await daemon.channel.unary(podSandboxStatus, { podSandboxId, verbose: false });
  assert.equal(sandbox.status?.state, PodSandboxState.SANDBOX_NOTREADY);
  await daemon.channel.unary(removeContainer, { containerId });
  await daemon.channel.unary(removePodSandbox, { podSandboxId });
  assert.ok(released.includes('reboot'));
});

/** Ends a container that no daemon looks after. Resolves when its monitor has written down how it ended. */
async function endAlone(containerId: string, pid: number, signal: NodeJS.Signals): Promise<void> {
  const state = join(folder, 'state');
  const isKept = (path: string) => path.includes(containerId) && path.endsWith('/exit');
  for (let tries = 0; !readdirSync(state, { recursive: true, encoding: 'utf8' }).some(isKept); tries++) {
    assert.ok(tries < 1000, `no end of ${containerId} is written down`);
    // Again and again: the first process of a namespace does not hear a signal for which it has set no trap yet.
    if (existsSync(`/proc/${pid}`)) process.kill(pid, signal);
    await sleep(20);
  }
}

async function mainPid(containerId: string): Promise<number> {
  const { containerStatus } = RuntimeService.methods;
  const { info } = await daemon.channel.unary(containerStatus, { containerId, verbose: true });
  return (JSON.parse(info.get('info')!) as { pid: number }).pid;
}
