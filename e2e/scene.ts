/**
 * What the end-to-end scripts play on: a cluster with a name and folders of its own, the real kubectl pointed at it, and a PATH on which `kubectl` and `wherry`
 * are what the docs mean by them.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bridgeOf } from '#cluster/real-node.ts';
import { type InventoryOptions, takeInventory } from '#testkit/inventory.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { type DocumentedOptions, documented, documentedOnTerminal, startDocumented } from './documented.ts';
import { type KindOfParts, type Parts, startParts } from './parts.ts';
import { type Result, type Running, run, start, untilReady } from './shell.ts';
import type { Steps } from './steps.ts';
import type { Terminal } from './terminal.ts';

export interface Scene {
  readonly step: Steps['step'];
  readonly root: string;
  readonly home: string;
  readonly name: string;
  readonly kubeconfig: string;
  readonly dataDir: string;
  readonly wherry: string;
  readonly kubectlPath: string;
  readonly env: Readonly<Record<string, string>>;
  /** Flags by which each command finds the cluster. */
  readonly cluster: readonly string[];
  readonly containerdSocket: string;
  readonly kind: KindOfParts;
  readonly parts: Parts;
  /** The cluster's process. */
  up: Running;
  /** What the kernel held before anything began. */
  readonly before: ReturnType<typeof takeInventory>;
  /** Of this scene alone. */
  readonly mine: InventoryOptions;

  /** Standard output of kubectl. */
  kubectl(...args: string[]): Promise<string>;
  /** What kubectl says when it must fail. */
  refused(...args: string[]): Promise<string>;
  /** Standard output of wherry. */
  tool(...args: string[]): Promise<string>;
  /** A line of the docs; what it printed. */
  doc(line: string, options?: DocumentedOptions): Promise<string>;
  startDoc(line: string, options?: DocumentedOptions): Running;
  docOnTerminal(line: string): Terminal;
  startUp(): Promise<void>;
  pods(...args: string[]): Promise<PodList['items']>;
  /** Of each pod: why its container waits, else the phase. */
  waitingReasons(selector: string): Promise<readonly string[]>;
}

export interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status: {
      readonly phase: string;
      readonly containerStatuses?: readonly {
        readonly containerID?: string;
        readonly restartCount: number;
        readonly state: { readonly waiting?: { readonly reason?: string }; readonly running?: object };
      }[];
    };
  }[];
}

export async function openScene(runId: string, kind: KindOfParts, { step }: Pick<Steps, 'step'>): Promise<Scene> {
  const root = new URL('..', import.meta.url).pathname;
  const wherry = join(root, 'bin/wherry');
  const home = mkdtempSync(join(tmpdir(), 'wherry-e2e-'));
  const name = `e2e${runId}`;
  const kubeconfig = join(home, 'kubeconfig');
  const dataDir = join(home, 'data');
  const kubectlPath = referenceBinary('kubectl', 'kubectl');
  const bin = join(home, 'bin');
  mkdirSync(bin);
  symlinkSync(kubectlPath, join(bin, 'kubectl'));
  symlinkSync(wherry, join(bin, 'wherry'));
  const env = { HOME: home, KUBECONFIG: kubeconfig, PATH: `${bin}:${process.env['PATH']}` };
  const cluster = ['--name', name, '--data-dir', dataDir];
  const mine = { only: (text: string) => text.includes(name) || text.includes(home) };
  const before = takeInventory(mine);
  const parts = await startParts(kind, { home, wherry, bridge: bridgeOf(name), podCidr: '10.244.0.0/24' });

  const kubectl = async (...args: string[]) => (await run(kubectlPath, args, { env })).stdout;
  const pods = async (...args: string[]) =>
    (JSON.parse(await kubectl('get', 'pods', '-o', 'json', ...args)) as PodList).items;
  const scene: Scene = {
    ...{ step, root, home, name, kubeconfig, dataDir, wherry, kubectlPath, env, cluster, kind, parts, before, mine },
    containerdSocket: join('/run/wherry', name, 'containerd.sock'),
    // Until it is started for the first time.
    up: { child: undefined, output: () => '', ended: Promise.resolve(null) } as unknown as Running,
    kubectl,
    async refused(...args) {
      const { code, stderr }: Result = await run(kubectlPath, args, { env, mayFail: true });
      assert.notEqual(code, 0, `kubectl ${args.join(' ')} was to fail`);
      return stderr;
    },
    tool: async (...args) => (await run(wherry, args, { env })).stdout,
    doc: async (line, options) => (await documented(line, { env, ...options })).stdout,
    startDoc: (line, options) => startDocumented(line, { env, ...options }),
    docOnTerminal: (line) => documentedOnTerminal(line, { env }),
    async startUp() {
      scene.up = start(wherry, ['up', ...cluster, ...parts.upFlags], env);
      await untilReady(scene.up);
    },
    pods,
    waitingReasons: async (selector) =>
      (await pods('-l', selector)).map(
        ({ status }) => status.containerStatuses?.[0]?.state.waiting?.reason ?? status.phase,
      ),
  };
  return scene;
}
