/** What is left of containers and pods, on a runtime of records and a real disk. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ContainerConfig, PodSandboxConfig } from '#api-cri/gen/api.ts';
import { createCriClient } from '#cri-client/client.ts';
import { hollowCri } from '#hollow/cri.ts';
import { systemClock } from '#host/clock.ts';
import { hostNodeFiles } from '#host/node-files.ts';
import { connectInMemory } from '#rpc/in-memory.ts';
import { seededPrng } from '#std/prng.ts';
import { CriPods } from './cri-pods.ts';
import { Garbage } from './garbage.ts';
import type { NodeObjects } from './node-objects.ts';
import { PodResources } from './pod-resources.ts';
import { Label } from './runtime-pod.ts';

const limit = { timeout: 10_000 };
const uid = 'u-1';

async function withGarbage(
  run: (parts: {
    readonly garbage: Garbage;
    readonly folder: string;
    /** Makes a sandbox; gives its id. */
    sandbox(attempt: number): Promise<string>;
    /** Makes an instance of a container, which ends unless it shall run. */
    container(sandboxId: string, name: string, attempt: number, runs?: boolean): Promise<void>;
    stopSandbox(id: string): Promise<void>;
    tidy(): Promise<void>;
    /** `name attempt` of all that are left. */
    left(): Promise<string[]>;
    sandboxes(): Promise<number>;
  }) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'garbage-'));
  const clock = systemClock;
  const { services } = hollowCri({
    clock,
    prng: seededPrng(1),
    scripts: () => undefined,
    addressOf: () => '10.0.0.2',
    appendLog: () => {},
  });
  await using channel = connectInMemory({ services, clock });
  const { runtime } = createCriClient(channel);
  const pods = new CriPods(runtime);
  const resources = new PodResources({
    clock,
    files: hostNodeFiles,
    // Nothing here reads the API.
    objects: undefined as unknown as NodeObjects,
    mounter: { mountTmpfs: async () => {}, unmountAll: async () => {} },
    root: folder,
    hostIp: '',
    allocatable: {},
    clusterDomain: '',
  });
  const logRoot = join(folder, 'logs');
  const logDirectory = join(logRoot, `n_p_${uid}`);
  const garbage = new Garbage({ runtime, files: hostNodeFiles, resources, logRoot });
  const labels = new Map([[Label.podUid, uid]]);
  const config = (attempt: number) =>
    PodSandboxConfig.create({ metadata: { name: 'p', namespace: 'n', uid, attempt }, labels, logDirectory });
  const all = async () => (await pods.pod(uid))!;
  try {
    await run({
      garbage,
      folder,
      sandbox: async (attempt) =>
        (await runtime.runPodSandbox({ config: config(attempt), runtimeHandler: '' })).podSandboxId,
      async container(podSandboxId, name, attempt, runs = false) {
        const { containerId } = await runtime.createContainer({
          podSandboxId,
          config: ContainerConfig.create({ metadata: { name, attempt }, labels, logPath: `${name}/${attempt}.log` }),
          sandboxConfig: config(0),
        });
        await runtime.startContainer({ containerId });
        if (!runs) await runtime.stopContainer({ containerId, timeout: 0n });
        await mkdir(join(logDirectory, name), { recursive: true });
        for (const file of [`${attempt}.log`, `${attempt}.log.20260102-030405`])
          await writeFile(join(logDirectory, name, file), '');
        await mkdir(join(folder, 'pods', uid, 'containers', name), { recursive: true });
        await writeFile(join(folder, 'pods', uid, 'containers', name, String(attempt)), '');
      },
      stopSandbox: async (podSandboxId) => void (await runtime.stopPodSandbox({ podSandboxId })),
      tidy: async () => garbage.tidy(await all()),
      left: async () => (await all()).containers.map(({ name, attempt }) => `${name} ${attempt}`).sort(),
      sandboxes: async () => (await all()).sandboxes.length,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('a container keeps its newest instance and one before it, each with its log and its last words', limit, () =>
  withGarbage(async ({ folder, sandbox, container, tidy, left }) => {
    const id = await sandbox(0);
    for (const attempt of [0, 1, 2]) await container(id, 'crashing', attempt);
    for (const attempt of [0, 1, 2]) await container(id, 'running', attempt, attempt === 2);
    await container(id, 'once', 0);
    await tidy();
    assert.deepEqual(await left(), ['crashing 1', 'crashing 2', 'once 0', 'running 1', 'running 2']);
    assert.deepEqual((await readdir(join(folder, `logs/n_p_${uid}/crashing`))).sort(), [
      ...['1.log', '1.log.20260102-030405', '2.log', '2.log.20260102-030405'],
    ]);
    assert.deepEqual((await readdir(join(folder, `pods/${uid}/containers/crashing`))).sort(), ['1', '2']);
  }),
);

test('a sandbox that was replaced goes with the last container that is kept in it', limit, () =>
  withGarbage(async ({ sandbox, container, stopSandbox, tidy, sandboxes, left }) => {
    const first = await sandbox(0);
    await container(first, 'c', 0);
    await stopSandbox(first);
    const second = await sandbox(1);
    await container(second, 'c', 1);
    await tidy();
    assert.equal(await sandboxes(), 2);
    await container(second, 'c', 2, true);
    await tidy();
    assert.equal(await sandboxes(), 1);
    assert.deepEqual(await left(), ['c 1', 'c 2']);
  }),
);

test('logs and volumes of pods that nobody knows go; those of others stay', limit, () =>
  withGarbage(async ({ garbage, folder }) => {
    for (const path of ['logs/n_a_gone/c', 'logs/n_b_here/c', 'pods/gone/volumes', 'pods/here/volumes'])
      await mkdir(join(folder, path), { recursive: true });
    await garbage.removeOrphans(new Set(['here']));
    assert.deepEqual(await readdir(join(folder, 'logs')), ['n_b_here']);
    assert.deepEqual(await readdir(join(folder, 'pods')), ['here']);
  }),
);
