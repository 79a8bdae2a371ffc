/**
 * A client's WebSocket (v5.channel.k8s.io) before a node that speaks SPDY alone: the streams of one become those of the other. KEP-4006; the kubelet
 * sees what it has always seen.
 */
import type { HttpRequest, HttpResponse } from '#transport/http.ts';
import { joinedPair } from '#transport/relay.ts';
import { connectSpdy, type SpdyStream, spdyProtocol, versionHeader } from '#transport/spdy.ts';
import { acceptWebSocket, type WebSocketConnection } from '#transport/websocket.ts';

export const webSocketVersion = 'v5.channel.k8s.io';
const spdyVersion = 'v4.channel.k8s.io';
const Channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
type StreamType = keyof typeof streamTypes;
const streamTypes = { error: 1, stdin: 1, stdout: 1, stderr: 1, resize: 1 } as const;
/** The outcome is one message. */
const outcomeBytesMax = 64 << 10;

/** Which streams there are to be. */
export interface TranslatedStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** @param ask sends the node a request that differs from the client's in what is given */
export async function translateStreams(
  request: HttpRequest,
  flags: TranslatedStreams,
  ask: (change: Pick<HttpRequest, 'method' | 'headers'>) => Promise<HttpResponse>,
): Promise<HttpResponse> {
  let upgrade: HttpResponse['upgrade'];
  const answer = acceptWebSocket(request, { protocols: [webSocketVersion] }, async (connection) => {
    const [ours, theirs] = joinedPair();
    upgrade!(theirs, new Uint8Array(0));
    const spdy = connectSpdy(ours);
    try {
      const open = (type: StreamType) => spdy.open(new Map([['streamtype', type]]));
      // The order in which upstream's client opens them.
      const streams: Partial<Record<StreamType, SpdyStream>> = {};
      for (const type of ['error', 'stdin', 'stdout', 'stderr'] as const)
        if (type === 'error' || flags[type]) streams[type] = open(type);
      if (flags.tty) streams.resize = open('resize');
      // Tells the client that the streams are there.
      const first = flags.stdout ? Channel.stdout : flags.stderr ? Channel.stderr : Channel.error;
      connection.send(Buffer.of(first));
      await serve(connection, streams, spdy.closed);
    } finally {
      spdy.close();
    }
  });
  // A client that cannot be answered: the node need not be asked.
  if (answer.upgrade === undefined) return answer;
  const response = await ask({
    method: 'POST',
    headers: [
      ['connection', 'Upgrade'],
      ['upgrade', spdyProtocol],
      [versionHeader, spdyVersion],
      // Nothing but SPDY may follow the head.
      ['content-length', '0'],
    ],
  });
  ({ upgrade } = response);
  return upgrade === undefined ? response : answer;
}

async function serve(
  connection: WebSocketConnection,
  streams: Partial<Record<StreamType, SpdyStream>>,
  nodeLeft: Promise<void>,
): Promise<void> {
  const input = receive(connection, streams).catch(() => {});
  const output = async (type: 'stdout' | 'stderr') => {
    const stream = streams[type];
    if (stream === undefined) return;
    // Some servers reset their streams when they are done.
    const reading = (async () => {
      for await (const data of stream.data) await send(connection, Channel[type], data);
    })();
    await reading.catch(() => {});
  };
  const outcome = (async () => {
    const chunks: Uint8Array[] = [];
    let length = 0;
    try {
      for await (const data of streams.error!.data) {
        length += data.length;
        if (length <= outcomeBytesMax) chunks.push(data);
      }
    } catch {
      // What came before it was reset is the outcome.
    }
    return Buffer.concat(chunks);
  })();
  const ended = Promise.all([outcome, output('stdout'), output('stderr')]);
  const result = await Promise.race([ended, nodeLeft.then(() => ended), Promise.race([input, connection.closed])]);
  if (Array.isArray(result) && result[0].length > 0) await send(connection, Channel.error, result[0]);
}

async function send(connection: WebSocketConnection, channel: number, data: Uint8Array): Promise<void> {
  if (!connection.send(Buffer.concat([Buffer.of(channel), data]))) await connection.drained();
}

/** Until the client goes. */
async function receive(
  connection: WebSocketConnection,
  { stdin, resize }: Partial<Record<StreamType, SpdyStream>>,
): Promise<void> {
  for await (const message of connection.messages) {
    const data = message.subarray(1);
    switch (message[0]) {
      case Channel.stdin:
        if (data.length > 0) await stdin?.write(data);
        break;
      case Channel.resize:
        await resize?.write(Buffer.concat([data, Buffer.from('\n')]));
        break;
      case Channel.close:
        if (data[0] === Channel.stdin) stdin?.end();
        break;
      default: // Upstream ignores what it does not know, too.
    }
  }
}
