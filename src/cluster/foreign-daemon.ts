/**
 * Somebody else's container daemon, by CRI over its socket: containerd, CRI-O. It brings its own pod network (its CNI configuration should
 * use our bridge) and its own images; pods on it are taken to be this node's, as a kubelet does.
 */
import { createCriClient } from '#cri-client/client.ts';
import { foldersEverywhere, removeEmptyCgroups, removeEmptyCgroupTrees } from '#host-linux/cgroups/remove-empty.ts';
import { connectRpc } from '#rpc/client.ts';
import type { Clock } from '#std/clock.ts';
import { parseTarget } from '#transport/dial.ts';
import type { ContainerDaemon } from './container-daemon.ts';

/** How long a daemon may take to answer that it is there. */
const answerTimeoutMs = 10_000;
/** CRI's timeouts are whole seconds; the call itself may take this much longer. */
const stopMarginMs = 30_000;

/**
 * @param endpoint `unix:///run/containerd/containerd.sock`
 * @param cgroupRoot the cgroup that pods are put below, through their `cgroupParent`
 * @throws TypeError when the endpoint is no address; Error when nobody answers there
 */
export async function connectForeignDaemon(
  { endpoint, cgroupRoot }: { readonly endpoint: string; readonly cgroupRoot: string },
  { clock }: { readonly clock: Clock },
): Promise<ContainerDaemon> {
  const channel = connectRpc({ target: parseTarget(endpoint), clock });
  const { runtime } = createCriClient(channel);
  try {
    await runtime.version({ version: 'v1' }, { timeoutMs: answerTimeoutMs });
  } catch (error) {
    await channel[Symbol.asyncDispose]();
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`no container runtime answers at ${endpoint}: ${why}`, { cause: error });
  }
  const stopAll = async (graceMs: number) => {
    const { containers } = await runtime.listContainers({ filter: undefined });
    const options = { timeoutMs: graceMs + stopMarginMs };
    const timeout = BigInt(Math.ceil(graceMs / 1000));
    await all(containers.map(({ id }) => runtime.stopContainer({ containerId: id, timeout }, options)));
    const { items } = await runtime.listPodSandbox({ filter: undefined });
    await all(items.map(({ id }) => runtime.stopPodSandbox({ podSandboxId: id }, options)));
  };
  return {
    channel,
    podCgroups: `${cgroupRoot}/kubepods`,
    removePodCgroup: (path) => removeEmptyCgroups(foldersEverywhere(path)),
    stopAll: ({ graceMs }) => stopAll(graceMs),
    async removeAll() {
      await stopAll(0);
      const { items } = await runtime.listPodSandbox({ filter: undefined });
      await all(items.map(({ id }) => runtime.removePodSandbox({ podSandboxId: id })));
      removeEmptyCgroupTrees(foldersEverywhere(cgroupRoot));
    },
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose]() as Promise<void>,
  };
}

/** Waits for all, then throws the first failure: one keeps nobody else from being stopped. */
async function all(work: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}
