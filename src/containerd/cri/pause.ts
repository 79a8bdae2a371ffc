/** The process that holds a pod's shared pid namespace: first in it, asleep, and reaping what nobody waits for. */
import { copyFile } from '#host/copy-file.ts';
import { makeFolder, removeTree } from '#host/files.ts';
import { RuntimeError } from '#runtime/error.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { cgroupsPath } from './cgroup-path.ts';
import { bundleFolder, type CriContext } from './context.ts';
import type { Sandbox } from './sandbox-store.ts';

/** Starts it; returns its id in the runtime. */
export async function createPause(context: CriContext, sandbox: Sandbox): Promise<string> {
  if (context.pauseProgram === undefined)
    throw new RpcError(Code.Unimplemented, 'a shared pid namespace needs the pause program, which is not installed');
  const { id } = sandbox;
  const bundle = bundleFolder(context.paths, id);
  await makeFolder(`${bundle}/rootfs`, 0o755);
  await copyFile(context.pauseProgram, `${bundle}/rootfs/pause`, 0o755);
  const { network, ipc, uts } = sandbox.namespaces;
  await context.runtime.create({
    id,
    bundle,
    spec: {
      ociVersion: '1.2.0',
      process: {
        args: ['/pause'],
        cwd: '/',
        user: { uid: 65535, gid: 65535 },
        noNewPrivileges: true,
        capabilities: {},
      },
      root: { path: 'rootfs', readonly: true },
      mounts: [{ destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] }],
      linux: {
        namespaces: [
          { type: 'pid' },
          { type: 'mount' },
          ...(network === undefined ? [] : [{ type: 'network' as const, path: network }]),
          ...(ipc === undefined ? [] : [{ type: 'ipc' as const, path: ipc }]),
          ...(uts === undefined ? [] : [{ type: 'uts' as const, path: uts }]),
        ],
        cgroupsPath: cgroupsPath(context, sandbox, id),
        resources: { cpu: { shares: 2 } },
      },
    },
    stdio: { stdin: 'null', stdout: 'null', stderr: 'null' },
    labels: { 'io.cri-containerd.kind': 'sandbox' },
  });
  await context.runtime.start(id);
  return id;
}

/** Ends it, and with it everything left in its pid namespace. Nothing there is fine. */
export async function removePause(context: CriContext, { id }: Sandbox): Promise<void> {
  try {
    await context.runtime.delete(id, { force: true });
  } catch (error) {
    if (!(error instanceof RuntimeError && error.code === 'NotFound')) throw error;
  }
  await removeTree(bundleFolder(context.paths, id));
}

/** Path of the pid namespace that the sandbox's containers join; undefined when they have their own. */
export async function podPidNamespace(context: CriContext, { pauseId }: Sandbox): Promise<string | undefined> {
  if (pauseId === undefined) return undefined;
  const { pid } = await context.runtime.state(pauseId);
  return `/proc/${pid}/ns/pid`;
}
