/**
 * What a pod brings with it besides images: environment, volumes on disk, and the mounts of each container. ConfigMaps,
 * Secrets and tokens are read through the API as the node's own user, and kept only as long as a pod of this node names them.
 */
import { type Mount, MountPropagation } from '#api-cri/gen/api.ts';
import type { NodeFiles } from '#host/node-files.ts';
import type { Clock } from '#std/clock.ts';
import { containerEnv, type EnvSources, envReferences, expandReferences } from './env.ts';
import type { NodeObjects } from './node-objects.ts';
import { ObjectError } from './object-watches.ts';
import type { Container, Pod, Volume, VolumeMount } from './pod.ts';
import { serviceEnv } from './service-env.ts';
import { type VolumeFile, writeVolume } from './volumes/atomic-writer.ts';
import { type PayloadSources, VolumeError, volumePayload, volumeReferences, volumeTokens } from './volumes/payload.ts';
import { resolveSubPath } from './volumes/sub-path.ts';

/** Mounts of the node that the kubelet needs done: tmpfs for emptyDir with medium Memory. */
export interface VolumeMounter {
  mountTmpfs(path: string, sizeBytes: bigint | undefined): Promise<void>;
  unmountAll(below: string): Promise<void>;
}

export interface PodResourcesDeps {
  readonly clock: Clock;
  readonly objects: NodeObjects;
  readonly mounter: VolumeMounter;
  readonly files: NodeFiles;
  /** The kubelet's own folder, `/var/lib/kubelet`; pods live below `pods/UID`. */
  readonly root: string;
  readonly hostIp: string;
  readonly allocatable: Readonly<Record<string, string>>;
  readonly clusterDomain: string;
}

export class PodResources {
  readonly #deps: PodResourcesDeps;
  /** What was last written, by the volume's path: most looks at a pod find nothing new. */
  readonly #written = new Map<string, ReadonlyMap<string, VolumeFile>>();

  constructor(deps: PodResourcesDeps) {
    this.#deps = deps;
  }

  get hostIp(): string {
    return this.#deps.hostIp;
  }

  podFolder(uid: string): string {
    return `${this.#deps.root}/pods/${uid}`;
  }

  /**
   * Makes every volume of the pod, or brings those that come from the API up to date.
   * @throws VolumeError for what is not there yet, ready to be told as an event
   */
  async mountVolumes(pod: Pod): Promise<void> {
    const folder = `${this.podFolder(pod.metadata.uid)}/volumes`;
    let sources: PayloadSources | undefined;
    for (const volume of pod.spec.volumes ?? []) {
      const path = `${folder}/${volumePath(volume)}`;
      try {
        if (isApiVolume(volume)) sources ??= await this.#payloadSources(pod);
        await this.#mountVolume(pod, volume, path, sources);
      } catch (error) {
        if (!(error instanceof VolumeError || error instanceof ObjectError)) throw error;
        throw new VolumeError(`MountVolume.SetUp failed for volume "${volume.name}" : ${error.message}`);
      }
    }
  }

  async #mountVolume(pod: Pod, volume: Volume, path: string, sources: PayloadSources | undefined): Promise<void> {
    if (sources !== undefined && isApiVolume(volume)) {
      const payload = volumePayload(pod, volume, sources);
      if (sameFiles(this.#written.get(path), payload)) return;
      await writeVolume(this.#deps.files, path, payload, this.#deps.clock.now(), pod.spec.securityContext?.fsGroup);
      this.#written.set(path, payload);
    } else if (volume.emptyDir !== undefined) await this.#emptyDir(pod, volume, path);
    else if (volume.hostPath !== undefined) await this.#hostPath(volume);
    else throw new VolumeError('no volume plugin matched');
  }

  /** Uids of pods that have a folder here. */
  podsWithVolumes(): Promise<string[]> {
    return this.#deps.files.listFolder(`${this.#deps.root}/pods`);
  }

  async unmountVolumes(uid: string): Promise<void> {
    const folder = this.podFolder(uid);
    for (const path of this.#written.keys()) if (path.startsWith(`${folder}/`)) this.#written.delete(path);
    await this.#deps.mounter.unmountAll(folder);
    await this.#deps.files.removeTree(folder);
  }

  async environment(
    pod: Pod,
    container: Container,
    podIps: readonly string[],
  ): Promise<{ key: string; value: string }[]> {
    const { objects, hostIp, allocatable } = this.#deps;
    const { configMaps, secrets } = envReferences(container);
    const namespace = pod.metadata.namespace;
    const maps = await objects.configMaps(namespace, configMaps);
    const secretValues = await objects.secrets(namespace, secrets);
    const sources: EnvSources = {
      configMap: (name) => textValues(maps.get(name)),
      secret: (name) => textValues(secretValues.get(name)),
      services: serviceEnv(objects.services(), namespace, pod.spec.enableServiceLinks !== false),
      hostIp,
      podIps,
      allocatable,
    };
    return containerEnv(pod, container, sources);
  }

  async mounts(
    pod: Pod,
    container: Container,
    podIps: readonly string[],
    restartCount: number,
    env: readonly { readonly key: string; readonly value: string }[],
  ): Promise<Mount[]> {
    const folder = this.podFolder(pod.metadata.uid);
    const mounts: Mount[] = [];
    for (const mount of container.volumeMounts ?? []) {
      const volume = pod.spec.volumes?.find(({ name }) => name === mount.name);
      if (volume === undefined) throw new VolumeError(`volume "${mount.name}" is not among the pod's volumes`);
      const base = volume.hostPath !== undefined ? volume.hostPath.path : `${folder}/volumes/${volumePath(volume)}`;
      mounts.push(
        asMount(
          mount.mountPath,
          await this.#subPath(base, mount, env),
          mount.readOnly === true || isApiVolume(volume),
          mount.mountPropagation,
        ),
      );
    }
    if (
      !pod.spec.hostNetwork &&
      podIps.length > 0 &&
      !mounts.some(({ containerPath }) => containerPath === '/etc/hosts')
    ) {
      await this.#deps.files.makeFolder(folder);
      const path = `${folder}/etc-hosts`;
      await this.#deps.files.replaceFile(path, hostsFile(pod, podIps, this.#deps.clusterDomain), { durable: false });
      mounts.push(asMount('/etc/hosts', path, false, undefined));
    }
    const logFolder = `${folder}/containers/${container.name}`;
    await this.#deps.files.makeFolder(logFolder, 0o750);
    const messagePath = this.terminationMessagePath(pod.metadata.uid, container.name, restartCount);
    await this.#deps.files.replaceFile(messagePath, '', { mode: 0o666, durable: false });
    mounts.push(asMount(container.terminationMessagePath ?? '/dev/termination-log', messagePath, false, undefined));
    return mounts;
  }

  /** Where a container leaves its last words. */
  terminationMessagePath(uid: string, container: string, restartCount: number): string {
    return `${this.podFolder(uid)}/containers/${container}/${restartCount}`;
  }

  async #payloadSources(pod: Pod): Promise<PayloadSources> {
    const { objects, hostIp, allocatable } = this.#deps;
    const { configMaps, secrets } = volumeReferences(pod);
    const maps = await objects.configMaps(pod.metadata.namespace, configMaps);
    const secretValues = await objects.secrets(pod.metadata.namespace, secrets);
    const tokens = new Map<string, string>();
    for (const { audience, expirationSeconds } of volumeTokens(pod))
      tokens.set(`${audience}\0${expirationSeconds}`, await objects.token(pod, audience, expirationSeconds));
    return {
      hostIp,
      podIps: pod.status?.podIPs?.map(({ ip }) => ip) ?? [],
      allocatable,
      configMap: (name) => maps.get(name),
      secret: (name) => secretValues.get(name),
      token: (audience, expirationSeconds) => tokens.get(`${audience}\0${expirationSeconds}`)!,
    };
  }

  async #emptyDir(pod: Pod, volume: Volume, path: string): Promise<void> {
    if ((await this.#deps.files.kindOf(path)) !== undefined) return;
    await this.#deps.files.makeFolder(path, 0o777);
    if (volume.emptyDir?.medium === 'Memory') await this.#deps.mounter.mountTmpfs(path, undefined);
    await this.#deps.files.setMode(path, 0o777);
    const group = pod.spec.securityContext?.fsGroup;
    if (group !== undefined) {
      await this.#deps.files.setOwner(path, 0, group);
      await this.#deps.files.setMode(path, 0o2777);
    }
  }

  async #hostPath(volume: Volume): Promise<void> {
    const { path, type = '' } = volume.hostPath!;
    const kind = await this.#deps.files.kindOf(path);
    if (type === 'DirectoryOrCreate' && kind === undefined) await this.#deps.files.makeFolder(path);
    else if (type === 'FileOrCreate' && kind === undefined) await this.#deps.files.replaceFile(path, '');
    else {
      const wanted = {
        Directory: 'folder',
        File: 'file',
        Socket: 'socket',
        CharDevice: 'charDevice',
        BlockDevice: 'blockDevice',
      }[type];
      if (wanted !== undefined && kind !== wanted)
        throw new VolumeError(`hostPath type check failed: ${path} is not a ${type.toLowerCase()}`);
    }
  }

  async #subPath(
    base: string,
    mount: VolumeMount,
    env: readonly { readonly key: string; readonly value: string }[],
  ): Promise<string> {
    const raw =
      mount.subPathExpr !== undefined
        ? expandReferences(mount.subPathExpr, (name) => env.find(({ key }) => key === name)?.value)
        : mount.subPath;
    if (raw === undefined || raw === '') return base;
    return resolveSubPath(this.#deps.files, base, raw);
  }
}

/** Upstream's folder names: plugin, then volume. */
function volumePath(volume: Volume): string {
  const plugin =
    volume.configMap !== undefined
      ? 'configmap'
      : volume.secret !== undefined
        ? 'secret'
        : volume.downwardAPI !== undefined
          ? 'downward-api'
          : volume.projected !== undefined
            ? 'projected'
            : 'empty-dir';
  return `kubernetes.io~${plugin}/${volume.name}`;
}

function isApiVolume(volume: Volume): boolean {
  return (
    volume.configMap !== undefined ||
    volume.secret !== undefined ||
    volume.downwardAPI !== undefined ||
    volume.projected !== undefined
  );
}

function sameFiles(a: ReadonlyMap<string, VolumeFile> | undefined, b: ReadonlyMap<string, VolumeFile>): boolean {
  if (a === undefined || a.size !== b.size) return false;
  for (const [path, { bytes, mode }] of b) {
    const known = a.get(path);
    if (known === undefined || known.mode !== mode) return false;
    if (known.bytes !== bytes && Buffer.compare(known.bytes, bytes) !== 0) return false;
  }
  return true;
}

function asMount(containerPath: string, hostPath: string, readonly: boolean, propagation: string | undefined): Mount {
  return {
    containerPath,
    hostPath,
    readonly,
    selinuxRelabel: false,
    propagation:
      propagation === 'Bidirectional'
        ? MountPropagation.PROPAGATION_BIDIRECTIONAL
        : propagation === 'HostToContainer'
          ? MountPropagation.PROPAGATION_HOST_TO_CONTAINER
          : MountPropagation.PROPAGATION_PRIVATE,
    uidMappings: [],
    gidMappings: [],
    recursiveReadOnly: false,
    image: undefined,
    imageSubPath: '',
    mountOptions: [],
  };
}

function textValues(values: ReadonlyMap<string, Uint8Array> | undefined): Record<string, string> | undefined {
  if (values === undefined) return undefined;
  return Object.fromEntries([...values].map(([key, bytes]) => [key, Buffer.from(bytes).toString('utf8')]));
}

/** The managed /etc/hosts. */
function hostsFile(pod: Pod, podIps: readonly string[], clusterDomain: string): string {
  const hostname = (pod.spec.hostname ?? pod.metadata.name).slice(0, 63);
  const qualified =
    pod.spec.subdomain === undefined
      ? ''
      : `${hostname}.${pod.spec.subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}\t`;
  const lines = [
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::0\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    ...podIps.map((ip) => `${ip}\t${qualified}${hostname}`),
  ];
  const aliases = pod.spec.hostAliases ?? [];
  if (aliases.length > 0)
    lines.push(
      '',
      '# Entries added by HostAliases.',
      ...aliases.map(({ ip, hostnames = [] }) => [ip, ...hostnames].join('\t')),
    );
  return `${lines.join('\n')}\n`;
}
