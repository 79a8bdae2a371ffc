/** Where a cluster keeps what it has: one folder that outlives reboots, one that need not. XDG's folders for users, the system's for root. */
import { join } from 'node:path';

export interface ClusterPaths {
  /** Where the data of this user's clusters lies, unless another folder is given. */
  readonly share: string;
  /** Kept: store, certificates, images, volumes. */
  readonly data: string;
  /** Gone with a reboot: running containers, the lock. */
  readonly run: string;
  readonly pki: string;
  readonly etcd: string;
  readonly containerd: string;
  readonly containerdState: string;
  /** CRI, and images for `wherry image`. */
  readonly containerdSocket: string;
  readonly kubelet: string;
  readonly podLogs: string;
  readonly addresses: string;
  readonly logFile: string;
  /** What `status`, `stop` and the others find a running cluster by. */
  readonly stateFile: string;
  readonly adminKubeconfig: string;
}

export interface PathEnvironment {
  readonly root: boolean;
  readonly home: string;
  readonly xdgDataHome?: string | undefined;
  readonly xdgRuntimeDir?: string | undefined;
}

export const defaultClusterName = 'default';

/** @param dataDir overrides the folder of the cluster's data */
export function clusterPaths(name: string, env: PathEnvironment, dataDir?: string): ClusterPaths {
  const share = env.root ? '/var/lib/wherry' : join(env.xdgDataHome || join(env.home, '.local/share'), 'wherry');
  const data = dataDir ?? join(share, name);
  const runBase = env.root ? '/run/wherry' : env.xdgRuntimeDir ? join(env.xdgRuntimeDir, 'wherry') : join(data, 'run');
  const run = join(runBase, name);
  return {
    share,
    data,
    run,
    pki: join(data, 'pki'),
    etcd: join(data, 'etcd'),
    containerd: join(data, 'containerd'),
    containerdState: join(run, 'containerd'),
    containerdSocket: join(run, 'containerd.sock'),
    kubelet: join(data, 'kubelet'),
    podLogs: join(data, 'pods-log'),
    addresses: join(data, 'cni'),
    logFile: join(data, 'wherry.log'),
    stateFile: join(run, 'cluster.json'),
    adminKubeconfig: join(data, 'admin.kubeconfig'),
  };
}

/** Names of clusters become names of files, interfaces and contexts. */
export function clusterNameProblem(name: string): string | undefined {
  if (/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/.test(name)) return undefined;
  return `${JSON.stringify(name)} is no cluster name: use up to 32 lower-case letters, digits and dashes`;
}
