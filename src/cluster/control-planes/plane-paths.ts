/** Where one control plane of several keeps what it has, and how the others find it. */
import { join } from 'node:path';
import type { ClusterPaths } from '../paths.ts';

export interface PlanePaths {
  /** Of its etcd member. */
  readonly etcd: string;
  readonly logFile: string;
  /** Held by its process as long as it lives: how others know that it does. */
  readonly lock: string;
  /** Unix socket of `server-control.ts`. */
  readonly controlSocket: string;
  /** Unix socket of its member's client API. */
  readonly etcdSocket: string;
}

export function planePaths(paths: ClusterPaths, name: string): PlanePaths {
  return {
    etcd: join(paths.data, name, 'etcd'),
    logFile: join(paths.data, name, 'server.log'),
    lock: join(paths.run, `${name}.lock`),
    controlSocket: join(paths.run, `${name}.sock`),
    etcdSocket: join(paths.run, `${name}.etcd.sock`),
  };
}
