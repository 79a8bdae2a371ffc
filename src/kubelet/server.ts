/**
 * The kubelet's API (port 10250): logs, exec, attach, port-forward, the list of pods. Who may call is decided before: by `server-access.ts` on the
 * port, or by being in the same process.
 */

import type { CriClient } from '#cri-client/client.ts';
import type { NodeFiles } from '#host/node-files.ts';
import { StatusError } from '#kube-machinery/status.ts';
import { createFetch } from '#transport/fetch.ts';
import { type HttpHandler, type HttpRequest, type HttpResponse, header } from '#transport/http.ts';
import { RpcError } from '#wire/grpc/status.ts';
import { readContainerLog } from './container-logs.ts';
import type { CriPods } from './cri-pods.ts';
import type { LogOptions } from './log-file.ts';
import { kubeletMetrics, metricsType } from './metrics.ts';
import type { Pod } from './pod.ts';
import type { RuntimeContainer } from './runtime-pod.ts';

export interface ServerDeps {
  readonly cri: CriClient;
  readonly runtimePods: CriPods;
  readonly find: (namespace: string, name: string) => Pod | undefined;
  readonly list: () => readonly Pod[];
  readonly nodeName: string;
  /** Why a container that is not there waits. */
  readonly waitingReason: (
    pod: Pod,
    container: string,
  ) => { readonly reason: string; readonly message: string } | undefined;
  readonly files: Pick<NodeFiles, 'openTail'>;
  readonly now: () => number;
  readonly log: (message: string, error?: unknown) => void;
}

const methods: Readonly<Record<string, readonly string[]>> = {
  healthz: ['GET'],
  pods: ['GET'],
  metrics: ['GET'],
  containerLogs: ['GET'],
  exec: ['GET', 'POST'],
  attach: ['GET', 'POST'],
  portForward: ['GET', 'POST'],
};

class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function kubeletHandler(deps: ServerDeps): HttpHandler {
  return async (request) => {
    const url = new URL(request.target, 'http://kubelet');
    const [verb = '', ...parts] = url.pathname.slice(1).split('/').map(decodeURIComponent);
    try {
      const allowed = methods[verb];
      if (allowed === undefined) return text(404, '404 page not found\n');
      if (!allowed.includes(request.method)) return text(405, '405: Method Not Allowed');
      switch (verb) {
        case 'healthz':
          return text(200, 'ok');
        case 'pods':
          return json({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: deps.list() });
        case 'metrics': {
          const body = Buffer.from(kubeletMetrics(deps.nodeName, (await deps.runtimePods.list()).values()));
          return { status: 200, headers: [['content-type', metricsType]], body };
        }
        case 'containerLogs':
          return await logs(deps, request, url.searchParams, parts);
        case 'exec':
        case 'attach':
          return await stream(deps, request, url.searchParams, verb, parts);
        case 'portForward':
          return await portForward(deps, request, url.searchParams, parts);
        default:
          return text(404, '404 page not found\n');
      }
    } catch (error) {
      if (request.signal.aborted) throw error;
      if (error instanceof HttpError) return text(error.status, error.message);
      if (!(error instanceof RpcError || error instanceof StatusError)) deps.log(`kubelet: ${url.pathname}`, error);
      return text(500, error instanceof Error ? error.message : String(error));
    }
  };
}

async function logs(
  deps: ServerDeps,
  request: HttpRequest,
  query: URLSearchParams,
  [namespace = '', name = '', container = '']: readonly string[],
): Promise<HttpResponse> {
  const pod = podOf(deps, namespace, name);
  const options = logOptions(query, deps.now());
  const instances = await instancesOf(deps, pod, container);
  // One that has ended and waits to run again is the previous one already.
  const waits = instances[0]?.state === 'exited' && deps.waitingReason(pod, container) !== undefined;
  const instance = instances[options.previous && !waits ? 1 : 0];
  if (instance === undefined) {
    if (options.previous)
      throw new HttpError(
        400,
        `previous terminated container ${JSON.stringify(container)} in pod ${JSON.stringify(name)} not found`,
      );
    throw new HttpError(
      400,
      `container ${JSON.stringify(container)} in pod ${JSON.stringify(name)} is waiting to start: ${waitingText(deps, pod, container)}`,
    );
  }
  let running = instance.state === 'running';
  const poll = async () => {
    const [current] = (await instancesOf(deps, pod, container)).filter(({ id }) => id === instance.id);
    running = current?.state === 'running';
  };
  const body = async function* () {
    // The state is asked for beside the reading; a follower learns of the end within a second.
    let asking = false;
    const isRunning = () => {
      if (!asking) {
        asking = true;
        void poll()
          .catch(() => {})
          .finally(() => {
            asking = false;
          });
      }
      return running;
    };
    try {
      yield* readContainerLog(deps.files, instance.logPath, options, isRunning, request.signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  };
  return { status: 200, headers: [['content-type', 'text/plain']], body: body() };
}

function waitingText(deps: ServerDeps, pod: Pod, container: string): string {
  const { reason = 'ContainerCreating' } = deps.waitingReason(pod, container) ?? {};
  if (reason === 'ErrImagePull' || reason === 'ImagePullBackOff')
    return reason === 'ErrImagePull' ? "image can't be pulled" : 'trying and failing to pull image';
  return reason;
}

/** @throws HttpError */
function logOptions(query: URLSearchParams, nowMs: number): LogOptions {
  const number = (name: string) => {
    const value = query.get(name);
    if (value === null || value === '') return undefined;
    if (!/^\d{1,15}$/.test(value))
      throw new HttpError(400, `${name}: Invalid value: ${JSON.stringify(value)}: must be a non-negative integer`);
    return Number(value);
  };
  const flag = (name: string) => query.get(name) === 'true' || query.get(name) === '1';
  const sinceSeconds = number('sinceSeconds');
  const sinceTime = query.get('sinceTime');
  return {
    follow: flag('follow'),
    previous: flag('previous'),
    timestamps: flag('timestamps'),
    tailLines: number('tailLines'),
    limitBytes: number('limitBytes'),
    sinceMs: sinceSeconds !== undefined ? nowMs - sinceSeconds * 1000 : sinceTime ? Date.parse(sinceTime) : undefined,
    stream: (query.get('stream') as LogOptions['stream'] | null) ?? 'All',
  };
}

async function stream(
  deps: ServerDeps,
  request: HttpRequest,
  query: URLSearchParams,
  verb: 'exec' | 'attach',
  [namespace = '', name = '', container = '']: readonly string[],
): Promise<HttpResponse> {
  const pod = podOf(deps, namespace, name);
  const [instance] = await instancesOf(deps, pod, container);
  if (instance === undefined || instance.state !== 'running')
    throw new HttpError(404, `unable to upgrade connection: container not found (${JSON.stringify(container)})`);
  const flags = {
    containerId: instance.id,
    tty: query.get('tty') === '1',
    stdin: query.get('input') === '1',
    stdout: query.get('output') === '1',
    // A terminal has one stream for both.
    stderr: query.get('error') === '1' && query.get('tty') !== '1',
  };
  const { url } =
    verb === 'exec'
      ? await deps.cri.runtime.exec({ ...flags, cmd: query.getAll('command') })
      : await deps.cri.runtime.attach(flags);
  return forward(request, url);
}

async function portForward(
  deps: ServerDeps,
  request: HttpRequest,
  query: URLSearchParams,
  [namespace = '', name = '']: readonly string[],
): Promise<HttpResponse> {
  const pod = podOf(deps, namespace, name);
  const runtime = await deps.runtimePods.pod(pod.metadata.uid);
  const sandbox = runtime?.sandboxes.find(({ ready }) => ready);
  if (sandbox === undefined) throw new HttpError(404, `pod ${JSON.stringify(name)} is not running`);
  const { url } = await deps.cri.runtime.portForward({
    podSandboxId: sandbox.id,
    port: query.getAll('port').map(Number),
  });
  return forward(request, url);
}

/** Hands the client's connection on to the runtime's streaming server, whose URL is good for one use. */
async function forward(request: HttpRequest, url: string): Promise<HttpResponse> {
  const { origin, pathname, search } = new URL(url);
  const fetch = createFetch({ address: origin });
  const response = await fetch({
    ...request,
    target: `${pathname}${search}`,
    headers: request.headers.filter(([name]) => name !== 'host' && name !== 'authorization'),
  });
  if (response.upgrade === undefined && header(request.headers, 'upgrade') !== undefined && response.status < 400)
    throw new HttpError(502, 'the runtime did not switch protocols');
  return response;
}

function podOf({ find }: ServerDeps, namespace: string, name: string): Pod {
  const pod = find(namespace, name);
  if (pod === undefined) throw new HttpError(404, `pod does not exist`);
  return pod;
}

/** Newest first. @throws HttpError for a name that the pod does not have */
async function instancesOf({ runtimePods }: ServerDeps, pod: Pod, container: string): Promise<RuntimeContainer[]> {
  const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  if (!all.some(({ name }) => name === container))
    throw new HttpError(400, `container ${container} is not valid for pod ${pod.metadata.name}`);
  const runtime = await runtimePods.pod(pod.metadata.uid);
  return (runtime?.containers ?? []).filter(({ name }) => name === container).sort((a, b) => b.attempt - a.attempt);
}

function text(status: number, message: string): HttpResponse {
  return { status, headers: [['content-type', 'text/plain; charset=utf-8']], body: Buffer.from(message) };
}

function json(value: object): HttpResponse {
  return { status: 200, headers: [['content-type', 'application/json']], body: Buffer.from(JSON.stringify(value)) };
}
