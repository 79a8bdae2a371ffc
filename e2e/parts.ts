/**
 * What a script can put in the place of the usual parts: three control planes in processes of their own, or foreign parts behind their seams: Debian's etcd behind `--etcd-servers`, Debian's containerd with its
 * runc and CNI plugins behind `--container-runtime-endpoint`. Everything of theirs lies in the script's own folder.
 */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { helloApplets } from '#containerd/images/hello-image.ts';
import { findHello } from '#host-linux/helper/binary.ts';
import { startContainerdProcess } from '#testkit/containerd-process.ts';
import { startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { run } from './shell.ts';

export interface Parts extends AsyncDisposable {
  /** Flags for `wherry up` and `wherry down`. */
  readonly upFlags: readonly string[];
  readonly downFlags: readonly string[];
  /** That `wherry up` tells of. */
  readonly phases: readonly string[];
  /** Loads an archive into the foreign container daemon; undefined when the daemon is ours. */
  readonly loadArchive?: (path: string) => Promise<void>;
}

export const kindsOfParts = ['ours', 'etcd', 'containerd', 'masters'] as const;
export type KindOfParts = (typeof kindsOfParts)[number];

export interface PartsOptions {
  readonly home: string;
  readonly wherry: string;
  /** The bridge that pods hang on, and their addresses. */
  readonly bridge: string;
  readonly podCidr: string;
}

const onePlane = ['certificates', 'apiserver', 'controllers and scheduler', 'ready'];

export async function startParts(kind: KindOfParts, options: PartsOptions): Promise<Parts> {
  switch (kind) {
    case 'ours':
      return { upFlags: [], downFlags: [], phases: onePlane, [Symbol.asyncDispose]: async () => {} };
    case 'masters':
      return {
        upFlags: ['--control-planes', '3'],
        downFlags: [],
        phases: ['certificates', 'control planes cp-1, cp-2, cp-3', 'node', 'ready'],
        [Symbol.asyncDispose]: async () => {},
      };
    case 'etcd':
      return startEtcd(options);
    case 'containerd':
      return startContainerd(options);
  }
}

async function startEtcd({ home }: PartsOptions): Promise<Parts> {
  const etcd = await startEtcdProcess({
    command: [referenceBinary('etcd-server', 'etcd')],
    dataDir: join(home, 'etcd'),
  });
  return {
    upFlags: ['--etcd-servers', etcd.clientUrl],
    downFlags: [],
    phases: onePlane,
    [Symbol.asyncDispose]: () => etcd[Symbol.asyncDispose](),
  };
}

const pauseImage = 'local/pause:1';

async function startContainerd({ home, wherry, bridge, podCidr }: PartsOptions): Promise<Parts> {
  const folder = join(home, 'containerd');
  mkdirSync(folder);
  const containerd = await startContainerdProcess({
    folder,
    sandboxImage: `docker.io/${pauseImage}`,
    cniBin: dirname(referenceBinary('containernetworking-plugins', 'bridge')),
    network: {
      cniVersion: '0.4.0',
      name: 'wherry',
      plugins: [
        {
          type: 'bridge',
          bridge,
          isGateway: true,
          hairpinMode: true,
          ipam: {
            type: 'host-local',
            dataDir: join(folder, 'ipam'),
            ranges: [[{ subnet: podCidr }]],
            routes: [{ dst: '0.0.0.0/0' }],
          },
        },
      ],
    },
  });
  const ctr = referenceBinary('containerd', 'ctr');
  const loadArchive = async (path: string) => {
    await run(ctr, ['--address', containerd.socket, '-n', 'k8s.io', 'images', 'import', path]);
  };
  const pack = async (name: string, entrypoint: string, ...more: string[]) => {
    const archive = join(home, `${name.replaceAll(/[/:]/g, '-')}.tar`);
    const image = ['--name', name, '--entrypoint', entrypoint, '--output', archive, ...more];
    await run(wherry, ['image', 'pack', helloFolder(home), ...image]);
    await loadArchive(archive);
  };
  await pack(pauseImage, '/bin/pause');
  await pack('wherry/hello:1', '/bin/hello', '--env', 'PATH=/bin', '--workdir', '/', '--expose', '80');
  const flags = ['--container-runtime-endpoint', `unix://${containerd.socket}`];
  return {
    upFlags: flags,
    downFlags: flags,
    phases: onePlane,
    loadArchive,
    [Symbol.asyncDispose]: () => containerd[Symbol.asyncDispose](),
  };
}

/** The root of the built-in image as a folder. */
function helloFolder(home: string): string {
  const folder = join(home, 'hello-root');
  const bin = join(folder, 'bin');
  if (mkdirSync(bin, { recursive: true }) === undefined) return folder;
  for (const name of ['etc', 'tmp', 'root']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(folder, 'etc/group'), 'root:x:0:\n');
  writeFileSync(join(bin, 'hello'), readFileSync(findHello()), { mode: 0o755 });
  for (const name of helloApplets) symlinkSync('hello', join(bin, name));
  return folder;
}
