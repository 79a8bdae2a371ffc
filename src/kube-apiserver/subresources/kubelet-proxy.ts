/**
 * `.../pods/NAME/log`, `exec`, `attach` and `portforward`: passed on to the kubelet of the pod's node. Streams are not looked into: after the
 * kubelet's 101 the two connections are joined byte for byte, whichever protocol (WebSocket, SPDY) the client speaks. SPDY that comes inside a
 * WebSocket, as port-forwarding does, is taken out of it first; streams of a WebSocket before a node that has only SPDY are translated (KEP-4006).
 */
import { badRequestError, failure, notFoundError, serviceUnavailableError } from '#kube-machinery/status.ts';
import { discard } from '#transport/discard.ts';
import type { HeaderList, HttpHandler, HttpRequest, HttpResponse } from '#transport/http.ts';
import { spdyProtocol } from '#transport/spdy.ts';
import { acceptWebSocket, asksForWebSocket } from '#transport/websocket.ts';
import { webSocketDuplex } from '#transport/websocket-duplex.ts';
import type { KubeObject } from '../object.ts';
import type { SubresourceVerbs } from '../rest/dispatch.ts';
import { readStored } from '../rest/get.ts';
import type { RestScope } from '../rest/scope.ts';
import { translateStreams, webSocketVersion } from './stream-translator.ts';

/** Reaches the kubelet of a node, as the apiserver. Undefined: no such node, or it has no address. */
export type KubeletDialer = (nodeName: string) => HttpHandler | undefined;

interface Pod extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly containers?: readonly { readonly name: string }[];
    readonly initContainers?: readonly { readonly name: string }[];
    readonly ephemeralContainers?: readonly { readonly name: string }[];
  };
  readonly status?: { readonly phase?: string };
}

export interface KubeletVerbs {
  readonly log: SubresourceVerbs;
  readonly exec: SubresourceVerbs;
  readonly attach: SubresourceVerbs;
  readonly portforward: SubresourceVerbs;
}

export function kubeletVerbs(dial: KubeletDialer): KubeletVerbs {
  const stream = (path: 'exec' | 'attach'): SubresourceVerbs => {
    const run = async (scope: RestScope) => {
      const pod = (await readStored(withoutVersion(scope))) as Pod;
      const { phase } = pod.status ?? {};
      if (phase === 'Succeeded' || phase === 'Failed')
        throw badRequestError(`cannot ${path} in a container in a completed pod; current phase is ${phase}`);
      const container = containerOf(pod, scope.info.query.get('container') ?? '');
      const query = new URLSearchParams();
      for (const [from, to] of [
        ['stdin', 'input'],
        ['stdout', 'output'],
        ['stderr', 'error'],
        ['tty', 'tty'],
      ] as const)
        if (isSet(scope.info.query.get(from))) query.set(to, '1');
      for (const command of scope.info.query.getAll('command')) query.append('command', command);
      const { namespace, name } = pod.metadata;
      const target = `/${path}/${namespace}/${name}/${container}?${query}`;
      return offers(scope.request, webSocketVersion)
        ? passWebSocket(scope, dial, pod, target, query)
        : pass(scope, dial, pod, target, true);
    };
    return { get: run, create: run };
  };
  const forward = async (scope: RestScope) => {
    const pod = (await readStored(withoutVersion(scope))) as Pod;
    const { namespace, name } = pod.metadata;
    const query = new URLSearchParams();
    for (const port of scope.info.query.getAll('ports')) query.append('port', port);
    const target = `/portForward/${namespace}/${name}?${query}`;
    return offers(scope.request, tunnelProtocol)
      ? passTunnel(scope, dial, pod, target)
      : pass(scope, dial, pod, target, true);
  };
  return {
    log: {
      async get(scope) {
        const pod = (await readStored(withoutVersion(scope))) as Pod;
        const container = containerOf(pod, scope.info.query.get('container') ?? '');
        const query = new URLSearchParams();
        for (const name of logOptions) if (scope.info.query.has(name)) query.set(name, scope.info.query.get(name)!);
        const { namespace, name } = pod.metadata;
        // Nobody runs it yet: there is no log.
        if (!pod.spec?.nodeName)
          return { status: 200, headers: [['content-type', 'text/plain']], body: new Uint8Array(0) };
        return pass(scope, dial, pod, `/containerLogs/${namespace}/${name}/${container}?${query}`, false);
      },
    },
    exec: stream('exec'),
    attach: stream('attach'),
    portforward: { get: forward, create: forward },
  };
}

const logOptions = [
  'follow',
  'previous',
  'sinceSeconds',
  'sinceTime',
  'timestamps',
  'tailLines',
  'limitBytes',
  'stream',
];

/** The query's resourceVersion, if any, is not about the pod. */
function withoutVersion(scope: RestScope): RestScope {
  return { ...scope, info: { ...scope.info, query: new URLSearchParams() } };
}

function isSet(value: string | null): boolean {
  return value === 'true' || value === '1';
}

/** @throws StatusError BadRequest with upstream's texts */
export function containerOf(pod: Pod, asked: string): string {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = pod.spec ?? {};
  const { name } = pod.metadata;
  const inits = initContainers.map((container) => container.name);
  if (asked !== '') {
    const all = [...containers, ...initContainers, ...ephemeralContainers];
    if (all.some((container) => container.name === asked)) return asked;
    throw badRequestError(`container ${asked} is not valid for pod ${name}`);
  }
  if (containers.length === 1) return containers[0]!.name;
  const names = containers.map((container) => container.name).join(' ');
  throw badRequestError(
    inits.length > 0
      ? `a container name must be specified for pod ${name}, choose one of: [${names}] or one of the init containers: [${inits.join(' ')}]`
      : `a container name must be specified for pod ${name}, choose one of: [${names}]`,
  );
}

async function pass(
  scope: RestScope,
  dial: KubeletDialer,
  pod: Pod,
  target: string,
  upgrade: boolean,
): Promise<HttpResponse> {
  const { request } = scope;
  const { nodeName } = pod.spec ?? {};
  if (!nodeName) throw badRequestError(`pod ${pod.metadata.name} does not have a host assigned`);
  const kubelet = dial(nodeName);
  if (kubelet === undefined) throw notFoundError({ group: '', resource: 'nodes' }, nodeName);
  let response: HttpResponse;
  try {
    response = await kubelet({
      ...request,
      target,
      headers: upgrade ? request.headers.filter(([name]) => streamHeader(name)) : [],
      authority: nodeName,
    });
  } catch (error) {
    if (request.signal.aborted) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw serviceUnavailableError(`error dialing backend: ${message}`);
  }
  if (response.status === 101 && response.upgrade === undefined)
    throw failure(500, 'InternalError', 'the kubelet switched protocols without a connection');
  if (response.status >= 400 && !upgrade) {
    const text = await textOf(response);
    throw failure(response.status, reasonOf(response.status), text.trim() || `the kubelet answered ${response.status}`);
  }
  return response;
}

const tunnelPrefix = 'SPDY/3.1+';
const tunnelProtocol = `${tunnelPrefix}portforward.k8s.io`;

/** Whether the client asks for a WebSocket with this subprotocol among others. */
function offers(request: HttpRequest, protocol: string): boolean {
  return (
    asksForWebSocket(request) &&
    request.headers.some(
      ([name, value]) =>
        name === 'sec-websocket-protocol' && value.split(',').some((offered) => offered.trim() === protocol),
    )
  );
}

/** A runtime that speaks version 5 gets the connection as it is; before any other the streams are translated. */
async function passWebSocket(
  scope: RestScope,
  dial: KubeletDialer,
  pod: Pod,
  target: string,
  query: URLSearchParams,
): Promise<HttpResponse> {
  const { request } = scope;
  // No older version: its client could not end the input.
  const headers = request.headers.filter(([name]) => name !== 'sec-websocket-protocol');
  const asked: HttpRequest = { ...request, headers: [...headers, ['sec-websocket-protocol', webSocketVersion]] };
  const direct = await pass({ ...scope, request: asked }, dial, pod, target, true);
  if (direct.status !== 400 && direct.status !== 403) return direct;
  discard(direct);
  const flags = {
    stdin: query.has('input'),
    stdout: query.has('output'),
    stderr: query.has('error') && !query.has('tty'),
    tty: query.has('tty'),
  };
  return translateStreams(request, flags, (change) =>
    pass({ ...scope, request: { ...request, ...change } }, dial, pod, target, true),
  );
}

/** The kubelet is asked for SPDY; once it speaks that, the client gets its WebSocket around it. */
async function passTunnel(scope: RestScope, dial: KubeletDialer, pod: Pod, target: string): Promise<HttpResponse> {
  const { request } = scope;
  const headers: HeaderList = [
    ['connection', 'Upgrade'],
    ['upgrade', spdyProtocol],
    ['x-stream-protocol-version', tunnelProtocol.slice(tunnelPrefix.length)],
    // Nothing but SPDY may follow the head.
    ['content-length', '0'],
  ];
  let upgrade: HttpResponse['upgrade'];
  const answer = acceptWebSocket(request, { protocols: [tunnelProtocol] }, async (connection) => {
    upgrade!(webSocketDuplex(connection), new Uint8Array(0));
    await connection.closed;
  });
  // A client that cannot be answered: the kubelet need not be asked.
  if (answer.upgrade === undefined) return answer;
  const asked: HttpRequest = { ...request, method: 'POST', headers };
  const response = await pass({ ...scope, request: asked }, dial, pod, target, true);
  ({ upgrade } = response);
  return upgrade === undefined ? response : answer;
}

/** What belongs to the streaming protocol; credentials do not go to the node. */
function streamHeader(name: string): boolean {
  return (
    name === 'connection' ||
    name === 'upgrade' ||
    name === 'x-stream-protocol-version' ||
    name.startsWith('sec-websocket-') ||
    name === 'content-length'
  );
}

function reasonOf(status: number): string {
  return status === 404
    ? 'NotFound'
    : status === 400
      ? 'BadRequest'
      : status === 401
        ? 'Unauthorized'
        : 'InternalError';
}

const errorTextMax = 16 << 10;

async function textOf({ body }: HttpResponse): Promise<string> {
  if (body instanceof Uint8Array) return Buffer.from(body).toString('utf8');
  let text = '';
  for await (const chunk of body) {
    text += Buffer.from(chunk).toString('utf8');
    if (text.length > errorTextMax) break;
  }
  return text;
}
