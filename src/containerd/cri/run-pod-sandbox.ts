/**
 * RunPodSandbox: makes a pod's namespaces, files and network. No process is needed to hold them, except where containers share a pid
 * namespace: its first process has to stay.
 */
import {
  NamespaceMode,
  type PodSandboxConfig,
  type RunPodSandboxRequest,
  type RunPodSandboxResponse,
} from '#api-cri/gen/api.ts';
import { makeFolder } from '#host/files.ts';
import { nodeHostname } from '#host/hostname.ts';
import { pinNewNamespaces, unpinNamespace } from '#host-linux/pinned-namespaces.ts';
import { Scope } from '#std/scope.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { type CriContext, newId, nowNs, sandboxStateFolder } from './context.ts';
import { during } from './errors.ts';
import { createPause, removePause } from './pause.ts';
import type { PodNetworkInfo, PodPortMapping } from './pod-network.ts';
import { publishSandboxEvent } from './publish-event.ts';
import { removeSandboxFiles, writeSandboxFiles } from './sandbox-files.ts';
import { type Sandbox, sandboxName } from './sandbox-store.ts';

/** The names a runtime handler goes by. */
export const runtimeHandlers: readonly string[] = ['', 'runc'];

export async function runPodSandbox(
  context: CriContext,
  request: RunPodSandboxRequest,
): Promise<RunPodSandboxResponse> {
  const { config, runtimeHandler } = request;
  if (config?.metadata === undefined) throw new RpcError(Code.Unknown, 'sandbox config must include metadata');
  if (!runtimeHandlers.includes(runtimeHandler))
    throw new RpcError(
      Code.Unknown,
      `failed to get sandbox runtime: no runtime for ${JSON.stringify(runtimeHandler)} is configured`,
    );
  const id = newId(context.prng);
  context.sandboxes.names.reserve(sandboxName(config), id);
  const undo = new Scope();
  undo.defer(() => context.sandboxes.names.release(id));
  try {
    await make(context, id, config, runtimeHandler, undo);
  } catch (error) {
    await undo[Symbol.asyncDispose]().catch((failure) => context.warn(`cleaning up after sandbox ${id}`, failure));
    throw error;
  }
  publishSandboxEvent(context, id, 'created');
  publishSandboxEvent(context, id, 'started');
  return { podSandboxId: id };
}

async function make(
  context: CriContext,
  id: string,
  config: PodSandboxConfig,
  runtimeHandler: string,
  undo: Scope,
): Promise<void> {
  const options = config.linux?.securityContext?.namespaceOptions;
  const nodeNetwork = options?.network === NamespaceMode.NODE;
  const nodeIpc = options?.ipc === NamespaceMode.NODE;
  const sharedPid = options?.pid === NamespaceMode.POD;
  const hostname = config.hostname !== '' ? config.hostname : nodeHostname();
  const folder = `${sandboxStateFolder(context.paths, id)}/namespaces`;
  await makeFolder(folder, 0o711);
  undo.defer(() => removeSandboxFiles(context.paths, id));
  await writeSandboxFiles(context.paths, id, config, hostname, nodeIpc);

  // A pod on the node's network has the node's name, too.
  const namespaces: Sandbox['namespaces'] = {
    ...(nodeNetwork ? {} : { network: `${folder}/net`, uts: `${folder}/uts` }),
    ...(nodeIpc ? {} : { ipc: `${folder}/ipc` }),
  };
  if (Object.keys(namespaces).length > 0) pinNewNamespaces(namespaces, nodeNetwork ? {} : { hostname });
  undo.defer(() => {
    for (const path of Object.values(namespaces)) unpinNamespace(path);
  });

  let sandbox: Sandbox = {
    id,
    config,
    runtimeHandler,
    createdAt: nowNs(context.clock),
    namespaces,
    hostname,
    ips: [],
    ready: true,
  };
  if (namespaces.network !== undefined) {
    const netns = namespaces.network;
    const info = podNetworkInfo(id, config);
    const { ips } = await during(`failed to setup network for sandbox ${JSON.stringify(id)}`, () =>
      context.network.setup(netns, info),
    );
    undo.defer(() => context.network.teardown(netns, info));
    sandbox = { ...sandbox, ips };
  }
  if (sharedPid) {
    undo.defer(() => removePause(context, sandbox));
    sandbox = { ...sandbox, pauseId: await createPause(context, sandbox) };
  }
  await context.sandboxes.put(sandbox);
}

export function podNetworkInfo(id: string, config: PodSandboxConfig): PodNetworkInfo {
  const protocols = ['tcp', 'udp', 'sctp'] as const;
  const portMappings: PodPortMapping[] = config.portMappings
    .filter(({ hostPort }) => hostPort > 0)
    .map(({ protocol, containerPort, hostPort, hostIp }) => ({
      protocol: protocols[protocol] ?? 'tcp',
      containerPort,
      hostPort,
      hostIp,
    }));
  return {
    id,
    namespace: config.metadata?.namespace ?? '',
    name: config.metadata?.name ?? '',
    uid: config.metadata?.uid ?? '',
    annotations: Object.fromEntries(config.annotations),
    portMappings,
  };
}
