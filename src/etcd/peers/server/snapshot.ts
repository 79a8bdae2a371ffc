/** POST /raft/snapshot: a MsgSnap behind its length, then the database to the end of the body. */
import { type Message, MessageType } from '#api-etcd/gen/raft.ts';
import { emptyBytes } from '#std/bytes.ts';
import { type HttpRequest, header } from '#transport/http.ts';
import { MessageDecoder, PeerStreamError } from '../codec/message-stream.ts';
import { hexId, ioTimeoutMs } from '../context.ts';
import { peerError } from '../peer-error.ts';
import { limitIdle } from '../read-body.ts';
import { allowMethod, closing, refuse, text, withHeaders } from './answer.ts';
import { checkCompatibility, clusterHeader, learnRemote } from './compatibility.ts';
import type { PathHandler, PeerServer } from './handler.ts';

/** Of the message; the database behind it has no limit here. As upstream's. */
const headBytesMax = 64 << 20;
/** Snapshots received at once. */
const receivingMax = 4;

export function snapshotHandler(server: PeerServer): PathHandler {
  const { context } = server;
  const { events, localId, traffic, log, inform } = context;
  const headers = [clusterHeader(context)];
  const failed = (status: number, why: string) => text(status, why, [...headers, ...closing]);
  let receiving = 0;

  async function receive({ message, rest, bytes }: Head, request: HttpRequest, body: AsyncIterator<Uint8Array>) {
    const counted = traffic.of(message.from);
    const what = `database snapshot at index ${message.snapshot?.metadata.index} of ${hexId(message.from)}`;
    const database = databaseOf(rest, body, (count) => {
      counted.receivedBytes += count;
    });
    inform(`receiving ${what}`);
    receiving++;
    try {
      await events.receiveSnapshot(message, database, bytesBehind(request, bytes));
    } catch (error) {
      counted.snapshotReceiveFailures++;
      log(`failed to save incoming ${what}: ${error}`);
      return failed(500, `failed to save KV snapshot (${(error as Error).message})`);
    } finally {
      receiving--;
    }
    counted.snapshotsReceived++;
    inform(`received and saved ${what}`);
    return { status: 204, headers, body: emptyBytes };
  }

  return (request) => {
    allowMethod(request, 'POST');
    return withHeaders(headers, async () => {
      checkCompatibility(request.headers, context);
      learnRemote(request.headers, server);
      const body = limitIdle(request.body, context.clock, ioTimeoutMs)[Symbol.asyncIterator]();
      let head: Head;
      try {
        head = await readHead(body);
      } catch (error) {
        return failed(400, `failed to decode raft message (${(error as Error).message})`);
      }
      const { type, from, to } = head.message;
      if (type !== MessageType.MsgSnap) return refuse(peerError('wrongMessageType'), [...headers, ...closing]);
      if (events.isRemoved(from))
        return failed(500, 'failed to process raft message (cannot process message from removed member)');
      if (to !== localId)
        return failed(500, 'failed to process raft message (cannot process message to mismatch member)');
      if (receiving >= receivingMax) return failed(500, 'failed to save KV snapshot (too many at once)');
      return receive(head, request, body);
    });
  };
}

interface Head {
  readonly message: Message;
  /** What came of the database with the message. */
  readonly rest: readonly Uint8Array[];
  /** Of the message with its length. */
  readonly bytes: number;
}

/** @throws PeerStreamError, ProtobufError; what the body fails with */
async function readHead(body: AsyncIterator<Uint8Array>): Promise<Head> {
  const decoder = new MessageDecoder(headBytesMax);
  let read = 0;
  for (;;) {
    const next = await body.next();
    if (next.done) throw new PeerStreamError(read === 0 ? 'EOF' : 'unexpected EOF');
    read += next.value.length;
    const message = decoder.pushOne(next.value);
    if (message === undefined) continue;
    const rest = decoder.rest();
    return { message, rest, bytes: read - rest.reduce((sum, { length }) => sum + length, 0) };
  }
}

async function* databaseOf(
  rest: readonly Uint8Array[],
  body: AsyncIterator<Uint8Array>,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for (const chunk of rest) {
    if (chunk.length === 0) continue;
    count(chunk.length);
    yield chunk;
  }
  for (let next = await body.next(); !next.done; next = await body.next()) {
    count(next.value.length);
    yield next.value;
  }
}

/** Upstream sends its snapshots in chunks and does not say how long they are. */
function bytesBehind({ headers }: HttpRequest, headBytes: number): number | undefined {
  const length = header(headers, 'content-length');
  return length === undefined ? undefined : Number(length) - headBytes;
}
