/** A pod's own files on the host: hostname, hosts, resolv.conf and shared memory. Containers mount them unless the kubelet brings its own. */
import type { PodSandboxConfig } from '#api-cri/gen/api.ts';
import { makeFolder, readIfThere, removeTree, replaceFile } from '#host/files.ts';
import { mount, unmount } from '#host-linux/mount.ts';
import { type CriPaths, sandboxFolder, sandboxStateFolder } from './context.ts';

export interface SandboxFiles {
  readonly hostname: string;
  readonly hosts: string;
  readonly resolvConf: string;
  readonly shm: string;
}

const shmBytes = 64 << 20;

export function sandboxFiles(paths: CriPaths, id: string, sharesNodeIpc: boolean): SandboxFiles {
  const folder = sandboxFolder(paths, id);
  return {
    hostname: `${folder}/hostname`,
    hosts: `${folder}/hosts`,
    resolvConf: `${folder}/resolv.conf`,
    shm: sharesNodeIpc ? '/dev/shm' : `${sandboxStateFolder(paths, id)}/shm`,
  };
}

export async function writeSandboxFiles(
  paths: CriPaths,
  id: string,
  config: PodSandboxConfig,
  hostname: string,
  sharesNodeIpc: boolean,
): Promise<void> {
  const files = sandboxFiles(paths, id, sharesNodeIpc);
  await makeFolder(sandboxFolder(paths, id), 0o755);
  const write = (path: string, text: string | Uint8Array) => replaceFile(path, text, { mode: 0o644, durable: false });
  await write(files.hostname, `${hostname}\n`);
  await write(files.hosts, (await readIfThere('/etc/hosts')) ?? '');
  await write(files.resolvConf, resolvConf(config) ?? (await readIfThere('/etc/resolv.conf')) ?? '');
  if (sharesNodeIpc) return;
  await makeFolder(files.shm, 0o700);
  mount(
    { type: 'tmpfs', source: 'shm', options: ['noexec', 'nosuid', 'nodev', 'mode=1777', `size=${shmBytes}`] },
    files.shm,
  );
}

export async function removeSandboxFiles(paths: CriPaths, id: string): Promise<void> {
  unmount(`${sandboxStateFolder(paths, id)}/shm`);
  await removeTree(sandboxStateFolder(paths, id));
  await removeTree(sandboxFolder(paths, id));
}

/** resolv.conf(5) of the pod's DNS settings; undefined for none: the node's applies. */
function resolvConf({ dnsConfig }: PodSandboxConfig): string | undefined {
  if (dnsConfig === undefined) return undefined;
  const { searches, servers, options } = dnsConfig;
  const lines: string[] = [];
  if (searches.length > 0) lines.push(`search ${searches.join(' ')}`);
  for (const server of servers) lines.push(`nameserver ${server}`);
  if (options.length > 0) lines.push(`options ${options.join(' ')}`);
  return lines.length === 0 ? undefined : `${lines.join('\n')}\n`;
}
