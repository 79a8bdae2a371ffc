/**
 * What the CRI suite needs of a CRI, ours or upstream's, and short ways to ask it: pods on the node's network, containers of one image, a script
 * in each. Everything a test makes has a name of its own and is removed by it.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ContainerConfig,
  ContainerState,
  type ContainerStatus,
  ImageSpec,
  LinuxPodSandboxConfig,
  LinuxSandboxSecurityContext,
  NamespaceMode,
  NamespaceOption,
  PodSandboxConfig,
  RuntimeService,
} from '#api-cri/gen/api.ts';
import type { Channel } from '#rpc/call.ts';

/** Images that whoever opens a CRI for the suite has pushed to the registry. */
export const testImages = {
  /** busybox with its applets in /bin, users root and alice, for this machine. Two layers: gzip and zstd. */
  box: 'test/box:1',
  /** The same by an index, with images for machines that do not exist. */
  index: 'test/index:1',
  /** An index for other machines only. */
  foreign: 'test/foreign:1',
} as const;

/** What all pods of the suite are below. */
export const podCgroup = `/cri-suite-${process.pid}`;

export interface CriUnderTest extends AsyncDisposable {
  readonly channel: Channel;
  /** `127.0.0.1:PORT` of a registry that has {@link testImages}. */
  readonly registry: string;
  /** Ends the daemon by SIGKILL, or as near as it can, and starts another on the same folders. */
  restart(): Promise<void>;
}

const { runPodSandbox, createContainer, startContainer, stopPodSandbox, removePodSandbox, containerStatus, execSync } =
  RuntimeService.methods;

/** One pod of a test. */
export class Pod implements AsyncDisposable {
  readonly cri: CriUnderTest;
  readonly config: PodSandboxConfig;
  readonly id: string;
  readonly folder: string;
  #count = 0;

  private constructor(cri: CriUnderTest, config: PodSandboxConfig, id: string, folder: string) {
    this.cri = cri;
    this.config = config;
    this.id = id;
    this.folder = folder;
  }

  static async run(cri: CriUnderTest, name: string, namespaces: Partial<NamespaceOption> = {}): Promise<Pod> {
    const folder = mkdtempSync(join(tmpdir(), 'pod-'));
    const config = podConfig(name, join(folder, 'logs'), namespaces);
    const { podSandboxId } = await cri.channel.unary(runPodSandbox, { config, runtimeHandler: '' });
    return new Pod(cri, config, podSandboxId, folder);
  }

  /** A container that runs a script, created but not started. */
  async create(script: string, change: Partial<ContainerConfig> = {}): Promise<string> {
    const name = `c${this.#count++}`;
    const config = ContainerConfig.create({
      metadata: { name, attempt: 0 },
      image: ImageSpec.create({ image: `${this.cri.registry}/${testImages.box}` }),
      command: ['sh', '-c', script],
      logPath: `${name}.log`,
      ...change,
    });
    const request = { podSandboxId: this.id, config, sandboxConfig: this.config };
    return (await this.cri.channel.unary(createContainer, request)).containerId;
  }

  async start(script: string, change: Partial<ContainerConfig> = {}): Promise<string> {
    const containerId = await this.create(script, change);
    await this.cri.channel.unary(startContainer, { containerId });
    return containerId;
  }

  /** Runs a script to its end; gives its log without times, and its status. */
  async finish(
    script: string,
    change: Partial<ContainerConfig> = {},
  ): Promise<{ log: string; status: ContainerStatus }> {
    const containerId = await this.start(script, change);
    const status = await waitForEnd(this.cri, containerId);
    return { log: this.log(status.logPath).replace(/^\S+ /gm, ''), status };
  }

  log(path: string): string {
    return readFileSync(path, 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cri.channel.unary(stopPodSandbox, { podSandboxId: this.id });
    await this.cri.channel.unary(removePodSandbox, { podSandboxId: this.id });
    rmSync(this.folder, { recursive: true });
  }
}

export function podConfig(name: string, logDirectory: string, namespaces: Partial<NamespaceOption> = {}) {
  return PodSandboxConfig.create({
    metadata: { name, namespace: 'suite', uid: `uid-${name}`, attempt: 0 },
    logDirectory,
    labels: new Map([['pod', name]]),
    annotations: new Map([['note', `of ${name}`]]),
    linux: LinuxPodSandboxConfig.create({
      cgroupParent: podCgroup,
      securityContext: LinuxSandboxSecurityContext.create({
        namespaceOptions: NamespaceOption.create({
          network: NamespaceMode.NODE,
          pid: NamespaceMode.CONTAINER,
          ipc: NamespaceMode.POD,
          ...namespaces,
        }),
      }),
    }),
  });
}

export async function statusOf(cri: CriUnderTest, containerId: string): Promise<ContainerStatus> {
  return (await cri.channel.unary(containerStatus, { containerId, verbose: false })).status!;
}

export async function waitForEnd(cri: CriUnderTest, containerId: string, timeoutMs = 10_000): Promise<ContainerStatus> {
  for (let waited = 0; ; waited += 20) {
    const status = await statusOf(cri, containerId);
    if (status.state === ContainerState.CONTAINER_EXITED) return status;
    if (waited > timeoutMs) throw new Error(`container ${containerId} does not end`);
    await sleep(20);
  }
}

/** Waits until `look` gives something, and gives it. */
export async function until<T>(look: () => T | undefined | Promise<T | undefined>, timeoutMs = 10_000): Promise<T> {
  for (let waited = 0; ; waited += 20) {
    const found = await look();
    if (found !== undefined) return found;
    if (waited > timeoutMs) throw new Error(`waited in vain for ${look}`);
    await sleep(20);
  }
}

export async function run(cri: CriUnderTest, containerId: string, script: string, timeoutSeconds = 10) {
  const answer = await cri.channel.unary(execSync, {
    containerId,
    cmd: ['sh', '-c', script],
    timeout: BigInt(timeoutSeconds),
  });
  return { ...answer, stdout: Buffer.from(answer.stdout).toString(), stderr: Buffer.from(answer.stderr).toString() };
}
