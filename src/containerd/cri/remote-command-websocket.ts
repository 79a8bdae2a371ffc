/**
 * The remote command protocol over a WebSocket (v4 and v5.channel.k8s.io): the first byte of each message says which stream it belongs to. Version 5
 * can also close a stream. KEP-4006.
 */
import type { HttpRequest, HttpResponse } from '#transport/http.ts';
import { acceptWebSocket, type WebSocketConnection } from '#transport/websocket.ts';
import {
  type Outcome,
  parseSize,
  type RemoteProcess,
  type RemoteStreams,
  type StreamFlags,
  statusOf,
} from './remote-streams.ts';

const v5 = 'v5.channel.k8s.io';
const protocols: readonly string[] = [v5, 'v4.channel.k8s.io'];
const Channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

export function acceptRemoteCommandWebSocket(
  request: HttpRequest,
  flags: StreamFlags,
  serve: (streams: RemoteStreams) => Promise<void>,
): HttpResponse {
  return acceptWebSocket(request, { protocols }, (connection) => {
    // Tells the client that the streams are there: an empty message on the first of them that it reads.
    const first = flags.stdout ? Channel.stdout : flags.stderr ? Channel.stderr : Channel.error;
    connection.send(Buffer.of(first));
    return serve({
      closed: connection.closed,
      async send(stream, data) {
        if (!flags[stream]) return;
        const message = Buffer.allocUnsafe(data.length + 1);
        message[0] = Channel[stream];
        message.set(data, 1);
        if (!connection.send(message)) await connection.drained();
      },
      receive: (process, stdin) => receiveInput(connection, process, stdin),
      finish(outcome: Outcome) {
        connection.send(Buffer.concat([Buffer.of(Channel.error), Buffer.from(JSON.stringify(statusOf(outcome)))]));
      },
    });
  });
}

async function receiveInput(connection: WebSocketConnection, process: RemoteProcess, stdin: boolean): Promise<void> {
  let open = stdin;
  for await (const message of connection.messages) {
    const data = message.subarray(1);
    switch (message[0]) {
      case Channel.stdin:
        if (open && data.length > 0 && !process.write(data)) await process.drained();
        break;
      case Channel.resize: {
        const size = parseSize(data);
        if (size !== undefined) process.resize(size);
        break;
      }
      case Channel.close:
        if (connection.protocol === v5 && data[0] === Channel.stdin && open) {
          open = false;
          process.closeStdin();
        }
        break;
      default: // Upstream ignores what it does not know, too.
    }
  }
}
