/**
 * CreateContainer: a snapshot of the image to write on, the specification, and the record. The runtime gets to know the container when it is
 * started, so that what was only created costs a folder.
 */
import {
  type ContainerConfig,
  type CreateContainerRequest,
  type CreateContainerResponse,
  NamespaceMode,
  SecurityProfile_ProfileType as ProfileType,
  Signal,
} from '#api-cri/gen/api.ts';
import { parseSpec, specToJson } from '#api-oci/parse-spec.ts';
import type { Device, DeviceRule } from '#api-oci/runtime-spec.ts';
import { kindOf, makeFolder, readIfThere, removeTree, replaceFile } from '#host/files.ts';
import { readFileLimited } from '#host/read-limited.ts';
import { deviceAt, listDevices } from '#host-linux/device-node.ts';
import { mount, unmount } from '#host-linux/mount.ts';
import { openRootedFolder, type RootedFolder } from '#host-linux/rooted-folder.ts';
import { Scope } from '#std/scope.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { NamedImage } from '../images/image-service.ts';
import { cgroupsPath } from './cgroup-path.ts';
import type { Container } from './container-store.ts';
import { bundleFolder, type CriContext, newId, nowNs, snapshotKey } from './context.ts';
import { during } from './errors.ts';
import { podPidNamespace } from './pause.ts';
import { publishContainerEvent } from './publish-event.ts';
import { sandboxFiles } from './sandbox-files.ts';
import type { Sandbox } from './sandbox-store.ts';
import { signalNumber, stopSignalName } from './signal.ts';
import { containerSpec } from './spec/container-spec.ts';
import { type ResolvedUser, resolveUser } from './spec/user.ts';

const accountFileBytesMax = 10 << 20;

export async function createContainer(
  context: CriContext,
  request: CreateContainerRequest,
): Promise<CreateContainerResponse> {
  const { config } = request;
  if (config?.metadata === undefined) throw new RpcError(Code.Unknown, 'container config must include metadata');
  const sandbox = context.sandboxes.require(
    request.podSandboxId,
    `failed to find sandbox id ${JSON.stringify(request.podSandboxId)}`,
  );
  if (!sandbox.ready)
    throw new RpcError(Code.Unknown, `sandbox container ${JSON.stringify(sandbox.id)} is not running`);
  const image = await context.images.find(config.image?.image ?? '');
  if (image === undefined)
    throw new RpcError(
      Code.NotFound,
      `failed to resolve image ${JSON.stringify(config.image?.image ?? '')}: image ${JSON.stringify(config.image?.image ?? '')}: not found`,
    );
  const id = newId(context.prng);
  const pod = sandbox.config.metadata;
  const name = [config.metadata.name, pod?.name, pod?.namespace, pod?.uid, config.metadata.attempt].join('_');
  context.containers.names.reserve(name, id);
  const undo = new Scope();
  undo.defer(() => context.containers.names.release(id));
  try {
    await make(context, { id, name, config, sandbox, image }, undo);
  } catch (error) {
    await undo[Symbol.asyncDispose]().catch((failure) => context.warn(`cleaning up after container ${id}`, failure));
    throw error;
  }
  publishContainerEvent(context, id, sandbox.id, 'created');
  return { containerId: id };
}

interface Making {
  readonly id: string;
  readonly name: string;
  readonly config: ContainerConfig;
  readonly sandbox: Sandbox;
  readonly image: NamedImage;
}

async function make(context: CriContext, { id, name, config, sandbox, image }: Making, undo: Scope): Promise<void> {
  const { snapshots } = context.images.deps;
  const bundle = bundleFolder(context.paths, id);
  const rootfs = `${bundle}/rootfs`;
  await makeFolder(rootfs, 0o755);
  undo.defer(() => removeTree(bundle));
  const mounts = await during('failed to create containerd container', () =>
    snapshots.prepare(snapshotKey({ id }), image.chainId, { labels: { 'io.cri-containerd.kind': 'container' } }),
  );
  undo.defer(() => snapshots.remove(snapshotKey({ id })));
  for (const request of mounts) mount(request, rootfs);
  undo.defer(() => unmount(rootfs));

  const user = await lookUpUser(config, image, rootfs);
  // A host path that is not there becomes a folder, as Docker began it.
  for (const { hostPath, image: source } of config.mounts)
    if (source === undefined && (await kindOf(hostPath)) === undefined) await makeFolder(hostPath, 0o755);

  const sharesNodeIpc = sandbox.namespaces.ipc === undefined;
  const { devices, rules } = await containerDevices(config);
  const spec = containerSpec({
    id,
    config,
    sandbox,
    image: image.config.config,
    imageName: config.image?.userSpecifiedImage || config.image?.image || '',
    user,
    podFiles: sandboxFiles(context.paths, sandbox.id, sharesNodeIpc),
    cgroupsPath: cgroupsPath(context, sandbox, id),
    podPidNamespace: await podPidNamespace(context, sandbox),
    targetPidNamespace: await targetPidNamespace(context, config, sandbox),
    devices,
    deviceRules: rules,
    localhostSeccomp: await localhostSeccomp(config),
    machine: context.machine,
  });
  await replaceFile(`${bundle}/config.json`, specToJson(spec), { mode: 0o600, durable: false });

  const logFolder = sandbox.config.logDirectory;
  const container: Container = {
    id,
    sandboxId: sandbox.id,
    config,
    createdAt: nowNs(context.clock),
    imageId: image.id,
    imageRef: image.digests[0] ?? image.id,
    logPath: logFolder === '' || config.logPath === '' ? '' : `${logFolder}/${config.logPath}`,
    stopSignal: signalNumber(
      config.stopSignal === Signal.SIGNAL_RUNTIME_DEFAULT
        ? (image.config.config.StopSignal ?? 'SIGTERM')
        : stopSignalName(config.stopSignal),
    ),
    user,
    resources: config.linux?.resources,
    status: { state: 'created', startedAt: 0n, finishedAt: 0n, exitCode: 0, reason: '', message: '', pid: 0 },
  };
  await context.containers.put(container, name);
}

async function lookUpUser(config: ContainerConfig, image: NamedImage, rootfs: string): Promise<ResolvedUser> {
  const security = config.linux?.securityContext;
  const { runAsUser, runAsGroup, runAsUsername = '' } = security ?? {};
  let text = runAsUsername !== '' ? runAsUsername : runAsUser !== undefined ? String(runAsUser.value) : '';
  if (text === '' && runAsGroup !== undefined)
    throw new RpcError(
      Code.InvalidArgument,
      `failed to generate user string: user group "${runAsGroup.value}" is specified without user`,
    );
  if (text === '') text = image.config.config.User ?? '';
  else if (runAsGroup !== undefined) text = `${text}:${runAsGroup.value}`;
  using folder = openRootedFolder(rootfs);
  const user = resolveUser(text, accountFile(folder, 'etc/passwd'), accountFile(folder, 'etc/group'));
  const extra = (security?.supplementalGroups ?? []).map(Number);
  // Strict: what the image's group file says does not count.
  const own = security?.supplementalGroupsPolicy === 1 ? [user.gid] : user.groups;
  return { ...user, groups: [...new Set([...own, ...extra])] };
}

function accountFile(folder: RootedFolder, path: string): string {
  let fd: number;
  try {
    fd = folder.openFile(path);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return '';
    throw error;
  }
  return readFileLimited(fd, accountFileBytesMax).toString();
}

async function targetPidNamespace(
  context: CriContext,
  config: ContainerConfig,
  sandbox: Sandbox,
): Promise<string | undefined> {
  const options = config.linux?.securityContext?.namespaceOptions;
  if (options?.pid !== NamespaceMode.TARGET) return undefined;
  const target = context.containers.find(options.targetId);
  if (target === undefined || target.sandboxId !== sandbox.id || target.status.state !== 'running')
    throw new RpcError(
      Code.Unknown,
      `invalid target container: container ${JSON.stringify(options.targetId)} is not running in the pod`,
    );
  return `/proc/${target.status.pid}/ns/pid`;
}

async function containerDevices(config: ContainerConfig): Promise<{ devices: Device[]; rules: DeviceRule[] }> {
  if (config.linux?.securityContext?.privileged === true)
    return {
      devices: listDevices().map(({ path, type, major, minor, mode, uid, gid }) => ({
        path,
        type,
        major,
        minor,
        fileMode: mode,
        uid,
        gid,
      })),
      rules: [{ allow: true, access: 'rwm' }],
    };
  const devices: Device[] = [];
  const rules: DeviceRule[] = [{ allow: false, access: 'rwm' }];
  for (const { hostPath, containerPath, permissions } of config.devices) {
    const node = await during(`failed to resolve device ${JSON.stringify(hostPath)}`, () => deviceAt(hostPath));
    if (node === undefined) throw new RpcError(Code.Unknown, `failed to set devices mapping: ${hostPath} is no device`);
    const { type, major, minor, mode, uid, gid } = node;
    devices.push({ path: containerPath, type, major, minor, fileMode: mode, uid, gid });
    rules.push({ allow: true, type, major, minor, access: permissions || 'rwm' });
  }
  return { devices, rules };
}

async function localhostSeccomp(config: ContainerConfig) {
  const profile = config.linux?.securityContext?.seccomp;
  if (profile?.profileType !== ProfileType.Localhost) return undefined;
  const bytes = await readIfThere(profile.localhostRef);
  if (bytes === undefined)
    throw new RpcError(
      Code.Unknown,
      `failed to generate seccomp spec opts: cannot load seccomp profile ${JSON.stringify(profile.localhostRef)}: open ${profile.localhostRef}: no such file or directory`,
    );
  return during('decoding seccomp profile failed', () => {
    // The profile is a part of a specification: it is read as one.
    const spec = parseSpec(`{"ociVersion":"1.2.0","linux":{"seccomp":${bytes.toString()}}}`);
    return spec.linux?.seccomp;
  });
}
