/**
 * The daemon killed in the middle of its work, again and again: what ran runs on as the same process, what was half done is gone, and in the end
 * nothing is left of it all. The moments are drawn from one seed, which a failure names.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ContainerConfig,
  ContainerState,
  ImageSpec,
  LinuxPodSandboxConfig,
  PodSandboxConfig,
  RuntimeService,
} from '#api-cri/gen/api.ts';
import { systemClock } from '#host/clock.ts';
import type { Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { below, seededPrng } from '#std/prng.ts';
import { assertInventory, takeInventory } from '#testkit/inventory.ts';
import { parseTarget } from '#transport/dial.ts';

const rounds = 12;
const seed = Number(process.env['WHERRY_SEED'] ?? 20261124);
const methods = RuntimeService.methods;

test(`killed ${rounds} times (WHERRY_SEED=${seed})`, { timeout: 120_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'wherry-crash-'));
  const cgroupRoot = `/wherry-crash-${process.pid}`;
  const mine = { only: (text: string) => text.includes(cgroupRoot) || text.includes(folder) };
  const clean = takeInventory(mine);
  const prng = seededPrng(seed);
  let daemon = await start(folder, cgroupRoot);
  let channel = connect(folder);
  const steady = await runPod(channel, folder, 'steady', 'exec sleep 1000');
  const identity = async () => {
    const { status, info } = await channel.unary(methods.containerStatus, {
      containerId: steady.containerId,
      verbose: true,
    });
    const pid = /"pid":\s*(\d+)/.exec(info.get('info') ?? '')?.[1];
    return {
      state: status!.state,
      startedAt: status!.startedAt,
      start: readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[21],
      pid,
    };
  };
  const before = await identity();
  assert.equal(before.state, ContainerState.CONTAINER_RUNNING);

  for (let round = 0; round < rounds; round++) {
    const work = Promise.allSettled([0, 1].map((lane) => churn(channel, folder, `r${round}-${lane}`)));
    await sleep(below(prng, 250));
    daemon.kill('SIGKILL');
    await once(daemon, 'exit');
    await channel[Symbol.asyncDispose]();
    await work;
    daemon = await start(folder, cgroupRoot);
    channel = connect(folder);
    assert.deepEqual(await identity(), before, `round ${round}`);
  }

  // Whatever is on record can be removed, and is all there is.
  const { items } = await channel.unary(methods.listPodSandbox, { filter: undefined });
  for (const { id } of items) {
    await channel.unary(methods.stopPodSandbox, { podSandboxId: id });
    await channel.unary(methods.removePodSandbox, { podSandboxId: id });
  }
  assert.deepEqual((await channel.unary(methods.listContainers, { filter: undefined })).containers, []);
  await channel[Symbol.asyncDispose]();
  daemon.kill('SIGTERM');
  await once(daemon, 'exit');
  await assertInventory(clean, mine);
  rmSync(folder, { recursive: true });
});

async function start(folder: string, cgroupRoot: string): Promise<ChildProcess> {
  const script = new URL('../testkit/our-containerd.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, folder, cgroupRoot], { stdio: ['ignore', 'pipe', 'inherit'] });
  await Promise.race([
    once(child.stdout!, 'data'),
    once(child, 'exit').then(() => assert.fail('the daemon does not start')),
  ]);
  return child;
}

function connect(folder: string): Channel {
  return connectRpc({ target: parseTarget(`unix://${folder}/containerd.sock`), clock: systemClock });
}

async function runPod(channel: Channel, folder: string, name: string, script: string) {
  const logs = join(folder, 'logs', name);
  mkdirSync(logs, { recursive: true });
  const config = PodSandboxConfig.create({
    metadata: { name, namespace: 'crash', uid: name, attempt: 0 },
    logDirectory: logs,
    linux: LinuxPodSandboxConfig.create({ cgroupParent: `/pods/${name}` }),
  });
  const { podSandboxId } = await channel.unary(methods.runPodSandbox, { config, runtimeHandler: '' });
  const { containerId } = await channel.unary(methods.createContainer, {
    podSandboxId,
    sandboxConfig: config,
    config: ContainerConfig.create({
      metadata: { name: 'main', attempt: 0 },
      image: ImageSpec.create({ image: 'wherry/hello:1' }),
      command: ['sh', '-c', script],
      logPath: 'main.log',
    }),
  });
  await channel.unary(methods.startContainer, { containerId });
  return { podSandboxId, containerId };
}

/** Makes and removes pods until the daemon goes. */
async function churn(channel: Channel, folder: string, name: string): Promise<void> {
  for (let i = 0; ; i++) {
    const { podSandboxId, containerId } = await runPod(channel, folder, `${name}-${i}`, 'exec sleep 1000');
    await channel.unary(methods.execSync, { containerId, cmd: ['true'], timeout: 5n });
    await channel.unary(methods.stopContainer, { containerId, timeout: 0n });
    await channel.unary(methods.removeContainer, { containerId });
    await channel.unary(methods.stopPodSandbox, { podSandboxId });
    await channel.unary(methods.removePodSandbox, { podSandboxId });
  }
}
