/**
 * The remote command protocol over SPDY/3.1 (v4.channel.k8s.io): a SPDY stream for each of the process's, named by its header `streamtype`, opened by
 * the client. This is how kube-apiserver, crictl and older clients come.
 */
import { type Clock, sleep } from '#std/clock.ts';
import type { HttpRequest, HttpResponse } from '#transport/http.ts';
import { acceptSpdy, type SpdyConnection, type SpdyStream } from '#transport/spdy.ts';
import {
  type Outcome,
  parseSize,
  type RemoteProcess,
  type RemoteStreams,
  type StreamFlags,
  statusOf,
} from './remote-streams.ts';

const protocols: readonly string[] = ['v4.channel.k8s.io'];
/** A client has this long to open its streams. Upstream's figure. */
const streamCreationTimeoutMs = 30_000;
const resizeBytesMax = 4096;

type StreamType = 'error' | 'stdin' | 'stdout' | 'stderr' | 'resize';

export function acceptRemoteCommandSpdy(
  clock: Clock,
  request: HttpRequest,
  flags: StreamFlags,
  serve: (streams: RemoteStreams) => Promise<void>,
): HttpResponse {
  return acceptSpdy(request, protocols, async (connection) => {
    const streams = await expectedStreams(clock, connection, flags);
    if (streams === undefined) return;
    await serve({
      closed: connection.closed,
      send: async (stream, data) => streams.get(stream)?.write(data),
      receive: (process, stdin) => receiveInput(streams, connection, process, stdin),
      finish(outcome: Outcome) {
        const error = streams.get('error')!;
        void error.write(Buffer.from(JSON.stringify(statusOf(outcome))));
        for (const type of ['stdout', 'stderr', 'error'] as const) streams.get(type)?.end();
      },
    });
  });
}

/** The streams that were asked for, once the client has opened them all; undefined when it did not in time. */
async function expectedStreams(
  clock: Clock,
  connection: SpdyConnection,
  flags: StreamFlags,
): Promise<ReadonlyMap<StreamType, SpdyStream> | undefined> {
  const wanted = new Set<string>(['error']);
  for (const type of ['stdin', 'stdout', 'stderr'] as const) if (flags[type]) wanted.add(type);
  if (flags.tty) wanted.add('resize');
  const giveUp = new AbortController();
  const found = (async () => {
    const streams = new Map<StreamType, SpdyStream>();
    for await (const stream of connection.streams) {
      const type = stream.headers.get('streamtype') ?? '';
      if (!wanted.delete(type)) stream.reset();
      else streams.set(type as StreamType, stream);
      if (wanted.size === 0) return streams;
    }
    return undefined;
  })();
  try {
    return await Promise.race([
      found,
      sleep(clock, streamCreationTimeoutMs, giveUp.signal).then(
        () => undefined,
        () => undefined,
      ),
    ]);
  } finally {
    giveUp.abort();
  }
}

async function receiveInput(
  streams: ReadonlyMap<StreamType, SpdyStream>,
  connection: SpdyConnection,
  process: RemoteProcess,
  stdin: boolean,
): Promise<void> {
  const input = async () => {
    const stream = streams.get('stdin');
    if (stream === undefined) return;
    for await (const data of stream.data) if (stdin && !process.write(data)) await process.drained();
    if (stdin) process.closeStdin();
  };
  const sizes = async () => {
    const stream = streams.get('resize');
    if (stream === undefined) return;
    // Sizes come one after the other, as a JSON encoder writes them: a line each.
    let text = '';
    for await (const data of stream.data) {
      text += Buffer.from(data).toString();
      if (text.length > resizeBytesMax) return stream.reset();
      const lines = text.split('\n');
      text = lines.pop()!;
      for (const line of lines) {
        const size = parseSize(Buffer.from(line));
        if (size !== undefined) process.resize(size);
      }
    }
  };
  await Promise.all([input(), sizes()]);
  await connection.closed;
}
