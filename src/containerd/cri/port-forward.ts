/**
 * PortForward: a URL under which connections to ports of a pod are served, over SPDY/3.1 (a pair of streams for each connection) or, as some clients
 * of other languages ask, over a WebSocket with a pair of channels for each port. The pod's own loopback answers, so that programs that listen
 * nowhere else are reached, too.
 */
import type { Socket } from 'node:net';
import type { PortForwardRequest, PortForwardResponse } from '#api-cri/gen/api.ts';
import { connectIn } from '#host-linux/helper/services.ts';
import type { HttpRequest, HttpResponse } from '#transport/http.ts';
import { roomIn } from '#transport/relay.ts';
import { acceptSpdy, asksForSpdy, type SpdyConnection, type SpdyStream } from '#transport/spdy.ts';
import { acceptWebSocket, type WebSocketConnection } from '#transport/websocket.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { CriContext } from './context.ts';
import type { Sandbox } from './sandbox-store.ts';

const spdyVersion = 'portforward.k8s.io';
const webSocketProtocols = ['v4.channel.k8s.io'];
/** Channels are one byte. */
const webSocketPortsMax = 127;
const ownNamespace = '/proc/self/ns/net';

export function portForward(context: CriContext, request: PortForwardRequest): PortForwardResponse {
  const sandbox = context.sandboxes.require(
    request.podSandboxId,
    `failed to find sandbox ${JSON.stringify(request.podSandboxId)}`,
  );
  if (!sandbox.ready) throw new RpcError(Code.Unknown, 'sandbox container is not running');
  return { url: context.streaming.offer('portforward', (http) => answer(context, sandbox, request.port, http)) };
}

function answer(context: CriContext, sandbox: Sandbox, ports: readonly number[], http: HttpRequest): HttpResponse {
  if (asksForSpdy(http))
    return acceptSpdy(http, [spdyVersion], (connection) => serveSpdy(context, sandbox, connection));
  if (ports.length === 0 || ports.length > webSocketPortsMax || !ports.every(isPort))
    return { status: 400, headers: [], body: Buffer.from('query parameter "port" is required') };
  return acceptWebSocket(http, { protocols: webSocketProtocols }, (connection) =>
    serveWebSocket(context, sandbox, ports, connection),
  );
}

/** Streams come in pairs of one `requestid`: the connection's bytes, and what went wrong. */
async function serveSpdy(context: CriContext, sandbox: Sandbox, connection: SpdyConnection): Promise<void> {
  const waiting = new Map<string, SpdyStream>();
  for await (const stream of connection.streams) {
    const type = stream.headers.get('streamtype');
    const port = Number(stream.headers.get('port'));
    if ((type !== 'error' && type !== 'data') || !isPort(port)) {
      stream.reset();
      continue;
    }
    // A client that numbers no requests opens the error stream just before its data stream.
    const id = stream.headers.get('requestid') ?? `stream ${type === 'error' ? stream.id : stream.id - 2}`;
    const other = waiting.get(id);
    if (other === undefined || other.headers.get('streamtype') === type) {
      other?.reset();
      waiting.set(id, stream);
      continue;
    }
    waiting.delete(id);
    const [data, error] = type === 'data' ? [stream, other] : [other, stream];
    void forwardPair(context, sandbox, port, data, error);
  }
}

async function forwardPair(
  context: CriContext,
  sandbox: Sandbox,
  port: number,
  data: SpdyStream,
  error: SpdyStream,
): Promise<void> {
  let left = false;
  try {
    const socket = await dial(context, sandbox, port);
    const sending = (async () => {
      for await (const chunk of socket) await data.write(chunk as Uint8Array);
      data.end();
    })();
    const receiving = (async () => {
      try {
        for await (const chunk of data.data) if (!socket.write(chunk)) await roomIn(socket);
        socket.end();
      } catch {
        // The client broke it off, which is its right, and wants to hear no more of it.
        left = true;
        socket.destroy();
      }
    })();
    try {
      await Promise.all([sending, receiving]);
    } finally {
      socket.destroy();
    }
  } catch (failure) {
    if (!left) void error.write(Buffer.from(failureText(sandbox, port, failure)));
    data.reset();
  }
  error.end();
}

async function serveWebSocket(
  context: CriContext,
  sandbox: Sandbox,
  ports: readonly number[],
  connection: WebSocketConnection,
): Promise<void> {
  const send = async (channel: number, data: Uint8Array) => {
    if (!connection.send(Buffer.concat([Buffer.of(channel), data]))) await connection.drained();
  };
  const sockets = new Map<number, Promise<Socket>>();
  let open = ports.length;
  const done = Promise.withResolvers<void>();
  for (const [i, port] of ports.entries()) {
    const channel = 2 * i;
    const head = Buffer.of(port & 0xff, port >> 8);
    await send(channel, head);
    await send(channel + 1, head);
    const dialed = dial(context, sandbox, port);
    sockets.set(channel, dialed);
    void (async () => {
      try {
        for await (const chunk of await dialed) await send(channel, chunk as Uint8Array);
      } catch (error) {
        await send(channel + 1, Buffer.from(failureText(sandbox, port, error)));
      }
      if (--open === 0) done.resolve();
    })();
  }
  const receiving = (async () => {
    for await (const message of connection.messages) {
      // A port that could not be reached has said so on its other channel.
      const socket = await sockets.get(message[0] ?? 0)?.catch(() => undefined);
      if (socket?.writable && !socket.write(message.subarray(1))) await roomIn(socket);
    }
  })();
  await Promise.race([done.promise, receiving.catch(() => {}), connection.closed]);
  for (const dialed of sockets.values())
    void dialed.then(
      (socket) => socket.destroy(),
      () => {},
    );
}

/** IPv4 first, as containerd does. */
async function dial({ helper }: CriContext, sandbox: Sandbox, port: number): Promise<Socket> {
  const namespace = sandbox.namespaces.network ?? ownNamespace;
  const connect = async (address: string) => {
    const socket = await connectIn(helper, namespace, { address, port });
    // Readers and writers hear of it, too; this is for the time between them.
    return socket.on('error', () => {});
  };
  try {
    return await connect('127.0.0.1');
  } catch (error4) {
    try {
      return await connect('::1');
    } catch (error6) {
      throw new Error(
        `failed to execute portforward in network namespace ${JSON.stringify(namespace)}: failed to connect to localhost:${port} inside namespace ${JSON.stringify(sandbox.id)}, ` +
          `IPv4: dial tcp4 127.0.0.1:${port}: ${(error4 as Error).message} IPv6: dial tcp6 [::1]:${port}: ${(error6 as Error).message}`,
      );
    }
  }
}

function failureText(sandbox: Sandbox, port: number, error: unknown): string {
  return `error forwarding port ${port} to pod ${sandbox.id}, uid : ${error instanceof Error ? error.message : error}`;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port < 65536;
}
