/** Runs Debian's containerd with its CRI on a unix socket, everything in a folder of its own, for suites and for comparison. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { unmount } from '#host-linux/mount.ts';
import { mountPointsUnder } from '#host-linux/mount-table.ts';
import { referenceBinary } from './reference.ts';

export interface ContainerdProcess extends AsyncDisposable {
  /** Path of the socket. */
  readonly socket: string;
  readonly folder: string;
  readonly child: ChildProcess;
  readonly log: () => string;
  /** Ends it by `signal` and waits; its containers run on. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const startTimeoutMs = 20_000;

/**
 * Starts it and waits for the socket. `folder` is one that an earlier one left; `runtime` a runc to use instead of the PATH's.
 * `sandboxImage` must be there or on a registry that it reaches. Pods other than the node's network need CNI plugins in `cniBin`.
 */
export async function startContainerdProcess(options: {
  readonly sandboxImage: string;
  readonly folder?: string;
  readonly runtime?: string;
  readonly cniBin?: string;
  /** A CNI network configuration list; by default pods have loopback alone. */
  readonly network?: object;
}): Promise<ContainerdProcess> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'containerd-'));
  const socket = join(folder, 'containerd.sock');
  const binary = referenceBinary('containerd', 'containerd');
  mkdirSync(join(folder, 'net.d'), { recursive: true });
  if (options.cniBin !== undefined)
    writeFileSync(
      join(folder, 'net.d/10-test.conflist'),
      JSON.stringify(options.network ?? { cniVersion: '0.4.0', name: 'test', plugins: [{ type: 'loopback' }] }),
    );
  writeFileSync(
    join(folder, 'config.toml'),
    `version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.blockfile", "io.containerd.nri.v1.nri"]
[grpc]
  address = "${socket}"
[ttrpc]
  address = "${socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${options.sandboxImage}"
  enable_selinux = false
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${options.cniBin ?? `${folder}/no-cni`}"
    conf_dir = "${folder}/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        ${options.runtime === undefined ? '' : `BinaryName = "${options.runtime}"`}
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/opt"
`,
  );
  const child = spawn(binary, ['--config', join(folder, 'config.toml')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // The shim is looked for on the PATH.
    env: { ...process.env, PATH: `${dirname(binary)}:${process.env['PATH']}` },
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-400_000);
    });
  const exited = once(child, 'exit');
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
  };
  const dispose = async () => {
    await stop();
    for (const path of mountPointsUnder(folder)) unmount(path);
    rmSync(folder, { recursive: true, force: true });
  };
  for (let waited = 0; ; waited += 20) {
    if (existsSync(socket) && /containerd successfully booted/.test(log)) break;
    if (waited > startTimeoutMs || child.exitCode !== null) {
      await dispose();
      throw new Error(`containerd does not serve:\n${log}`);
    }
    await sleep(20);
  }
  return { socket, folder, child, log: () => log, stop, [Symbol.asyncDispose]: dispose };
}
