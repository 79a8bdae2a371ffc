/** `wherry down`: what a cluster left in the kernel goes, and with `purge` what it left on disk. The cluster must not be running. */
import { kindOf, removeTree } from '#host/files.ts';
import { unmount } from '#host-linux/mount.ts';
import { mountPointsUnder } from '#host-linux/mount-table.ts';
import { parseResolvConf } from '#kubelet/resolv-conf.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { removeFromKubeconfig } from './kubeconfig.ts';
import { thisMachine } from './machine.ts';
import type { ClusterPaths } from './paths.ts';
import { startRealNode } from './real-node.ts';

export interface RemoveOptions {
  readonly name: string;
  readonly paths: ClusterPaths;
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly runtimeEndpoint: string | undefined;
  readonly kubeconfig: string | undefined;
  /** This user may touch the kernel. */
  readonly real: boolean;
  readonly purge: boolean;
}

export async function removeCluster(
  options: RemoveOptions,
  deps: { readonly clock: Clock; readonly prng: Prng; readonly log: (message: string, error?: unknown) => void },
): Promise<void> {
  const { name, paths } = options;
  if (options.real && (await kindOf(paths.data)) !== undefined) {
    const node = await startRealNode(
      {
        cluster: name,
        nodeName: name,
        paths,
        podCidr: options.podCidr,
        serviceCidr: options.serviceCidr,
        clusterDns: '',
        clusterDomain: 'cluster.local',
        hostDns: parseResolvConf(''),
        machine: await thisMachine(paths.data),
        version: '',
        runtimeEndpoint: options.runtimeEndpoint,
      },
      deps,
    );
    try {
      await node.removeAll();
    } finally {
      await node[Symbol.asyncDispose]();
    }
    for (const folder of [paths.kubelet, paths.run])
      for (const path of mountPointsUnder(folder).reverse()) unmount(path);
    await removeTree(paths.kubelet);
    await removeTree(paths.podLogs);
  }
  await removeTree(paths.run);
  if (options.purge) await removeTree(paths.data);
  // Last, as the file is somebody else's and may be unreadable.
  if (options.kubeconfig !== undefined) await removeFromKubeconfig(options.kubeconfig, `wherry-${name}`);
}
