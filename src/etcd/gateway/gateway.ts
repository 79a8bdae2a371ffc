/**
 * The JSON gateway: every call of every service as a POST with a JSON body, streams as one `{"result":...}` a line, and all of it over
 * a WebSocket too. It is a client of the services like any other, with the caller's token. (upstream: grpc-gateway v2, grpc-websocket-proxy)
 */
import { jsonTables } from '#api-etcd/gen/json-tables.ts';
import type { CallOptions, Channel, ClientCall, Metadata, Peer } from '#rpc/call.ts';
import type { HttpRequest, HttpResponse } from '#transport/http.ts';
import { header } from '#transport/http.ts';
import { acceptWebSocket, asksForWebSocket, type WebSocketConnection } from '#transport/websocket.ts';
import { parseTimeout } from '#wire/grpc/header.ts';
import type { Method } from '#wire/grpc/service.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { decodeJson, encodeJson, JsonMessageError } from '#wire/protobuf/json.ts';
import { gatewayMark } from '../auth/authenticator.ts';
import { documentsIn } from './documents.ts';
import { httpStatusOf } from './http-status.ts';
import { gatewayRoutes } from './routes.ts';

export interface GatewayOptions {
  /** Reaches the services of this member, as this peer. The channel is the gateway's to dispose. */
  readonly connect: (peer: Peer) => Channel;
  /** Largest message, encoded as gRPC would. */
  readonly messageBytesMax: number;
}

type Message = Readonly<Record<string, unknown>>;
type AnyMethod = Method<Message, Message>;

/** What stands around values in JSON: base64 takes a third more, names and numbers as text the rest. */
const jsonOverhead = 3;

/** @returns undefined for a path that is not the gateway's */
export function gatewayHandler(options: GatewayOptions): (request: HttpRequest) => Promise<HttpResponse> | undefined {
  return (request) => {
    const path = pathOf(request);
    if (!path.startsWith('/v3/')) return undefined;
    const method = gatewayRoutes.get(path) as AnyMethod | undefined;
    if (asksForWebSocket(request)) return Promise.resolve(overWebSocket(request, method, options));
    return answer(request, method, options);
  };
}

function pathOf({ target }: HttpRequest): string {
  const path = target.split('?', 1)[0]!;
  return path.startsWith('/v3beta/') ? `/v3/${path.slice('/v3beta/'.length)}` : path;
}

async function answer(
  request: HttpRequest,
  method: AnyMethod | undefined,
  options: GatewayOptions,
): Promise<HttpResponse> {
  if (method === undefined) return failed(new RpcError(Code.NotFound, 'Not Found'));
  if (request.method !== 'POST') return failed(new RpcError(Code.Unimplemented, 'Method Not Allowed'));
  const gone = new AbortController();
  const onAbort = () => gone.abort(request.signal.reason);
  request.signal.addEventListener('abort', onAbort, { once: true });
  if (request.signal.aborted) onAbort();
  const channel = options.connect({ address: request.peer.address });
  const end = async () => {
    request.signal.removeEventListener('abort', onAbort);
    await channel[Symbol.asyncDispose]();
  };
  try {
    const call = channel.open(method, { ...callOptions(request), signal: gone.signal });
    const sent = send(call, method, request, options);
    // Only what is read is sent: a body that is wrong must not wait for an answer that never comes.
    const messages = call.messages[Symbol.asyncIterator]();
    const next = messages.next();
    next.catch(() => {});
    const first = await Promise.race([next, sent.then(() => next)]).catch((error: unknown) => {
      call.cancel();
      throw error;
    });
    if (method.kind === 'unary') {
      await end();
      if (first.done) throw new RpcError(Code.Internal, 'no response message');
      return { status: 200, headers: successHeaders, body: Buffer.from(json(method, first.value)) };
    }
    return { status: 200, headers: successHeaders, body: lines(method, first, messages, sent, end) };
  } catch (error) {
    await end();
    return failed(statusOf(error));
  }
}

/** Reads the body into the call; of calls with one request the rest of the body does not count. */
async function send(
  call: ClientCall<Message, Message>,
  method: AnyMethod,
  { body }: HttpRequest,
  { messageBytesMax }: GatewayOptions,
): Promise<void> {
  const { typeName } = method.request;
  const documents = documentsIn<Message>(body, messageBytesMax * jsonOverhead, (text, from) =>
    decodeJson<Message>(jsonTables, typeName, text, from),
  );
  const streams = method.kind === 'bidi' || method.kind === 'client-stream';
  let count = 0;
  for await (const message of documents) {
    const bytes = method.request.size(message);
    if (bytes > messageBytesMax)
      throw new RpcError(
        Code.ResourceExhausted,
        `grpc: received message larger than max (${bytes} vs. ${messageBytesMax})`,
      );
    count++;
    if (!call.send(message)) await call.drained();
    if (!streams) break;
  }
  if (count === 0 && !streams) call.send(method.request.create());
  call.closeSend();
}

async function* lines(
  method: AnyMethod,
  first: IteratorResult<Message>,
  messages: AsyncIterator<Message>,
  sent: Promise<void>,
  end: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  let failure: unknown;
  // A body that breaks later ends the requests, not the answers.
  sent.catch(() => {});
  try {
    for (let next = first; !next.done; next = await messages.next())
      yield Buffer.from(`{"result":${json(method, next.value)}}\n`);
  } catch (error) {
    failure = error;
  } finally {
    await end();
  }
  if (failure !== undefined) yield Buffer.from(`{"error":${errorJson(statusOf(failure))}}\n`);
}

/** What a client sends is the body of the request, message by message; what it gets are the lines of the answer. */
function overWebSocket(request: HttpRequest, method: AnyMethod | undefined, options: GatewayOptions): HttpResponse {
  // A browser cannot set headers: the token comes as a subprotocol.
  const offered = header(request.headers, 'sec-websocket-protocol') ?? '';
  const [kind, token] = offered.split(',').map((part) => part.trim());
  const isBearer = kind === 'Bearer' && token !== undefined;
  const headers = isBearer ? [...request.headers, ['authorization', `Bearer ${token}`] as const] : request.headers;
  return acceptWebSocket(
    request,
    { protocols: isBearer ? ['Bearer'] : [], messageBytesMax: options.messageBytesMax * jsonOverhead },
    async (connection) => {
      const gone = new AbortController();
      const asPost = { ...request, method: 'POST', headers, body: bodyOf(connection, gone), signal: gone.signal };
      const { body } = await answer(asPost, method, options);
      const pieces = body instanceof Uint8Array ? [body] : body;
      for await (const piece of pieces) if (!connection.send(trimmed(piece), 'text')) await connection.drained();
    },
  );
}

async function* bodyOf(connection: WebSocketConnection, gone: AbortController): AsyncGenerator<Uint8Array> {
  try {
    for await (const message of connection.messages) {
      yield message;
      yield Buffer.from('\n');
    }
  } finally {
    gone.abort(new RpcError(Code.Canceled, 'context canceled'));
  }
}

function trimmed(line: Uint8Array): Uint8Array {
  return line.at(-1) === 0x0a ? line.subarray(0, -1) : line;
}

/** Headers that name the caller or belong to gRPC go along. */
function callOptions({ headers }: HttpRequest): CallOptions {
  const metadata: [string, string][] = [[gatewayMark, header(headers, 'accept') ?? '']];
  const prefix = 'grpc-metadata-';
  for (const [name, value] of headers)
    if (name === 'authorization') metadata.push([name, value]);
    else if (name.startsWith(prefix)) metadata.push([name.slice(prefix.length), value]);
  const timeout = header(headers, 'grpc-timeout');
  const timeoutMs = timeout === undefined ? undefined : parseTimeout(timeout);
  return { metadata: metadata satisfies Metadata, ...(timeoutMs !== undefined && { timeoutMs }) };
}

const successHeaders: HttpResponse['headers'] = [
  ['content-type', 'application/json'],
  ['grpc-metadata-content-type', 'application/grpc'],
];

function json({ response }: AnyMethod, message: unknown): string {
  return encodeJson(jsonTables, response.typeName, message);
}

function statusOf(error: unknown): RpcError {
  return error instanceof JsonMessageError ? new RpcError(Code.InvalidArgument, error.message) : RpcError.from(error);
}

function errorJson({ code, message }: RpcError): string {
  return JSON.stringify({ code, message });
}

function failed(error: RpcError): HttpResponse {
  return {
    status: httpStatusOf(error.code),
    headers: [['content-type', 'application/json']],
    body: Buffer.from(errorJson(error)),
  };
}
