/** POST /raft: one message. */
import type { Message } from '#api-etcd/gen/raft.ts';
import { emptyBytes } from '#std/bytes.ts';
import { ProtobufError } from '#wire/protobuf/message.ts';
import { decodeMessage, messageBytesMax } from '../codec/message-stream.ts';
import { ioTimeoutMs } from '../context.ts';
import { peerError } from '../peer-error.ts';
import { limitIdle, readBody } from '../read-body.ts';
import { allowMethod, closing, refuse, withHeaders } from './answer.ts';
import { checkCompatibility, clusterHeader, learnRemote } from './compatibility.ts';
import type { PathHandler, PeerServer } from './handler.ts';

export function pipelineHandler(server: PeerServer): PathHandler {
  const { context } = server;
  const { clock, events, localId, traffic } = context;
  const headers = [clusterHeader(context)];
  return (request) => {
    allowMethod(request, 'POST');
    return withHeaders(headers, async () => {
      checkCompatibility(request.headers, context);
      learnRemote(request.headers, server);
      let bytes: Buffer;
      try {
        bytes = await readBody(limitIdle(request.body, clock, ioTimeoutMs), messageBytesMax);
      } catch (error) {
        context.log(`failed to read Raft message: ${error}`);
        return refuse(peerError('readingMessage'), [...headers, ...closing]);
      }
      const message = decode(bytes);
      traffic.of(message.from).receivedBytes += bytes.length;
      // Never 403, which a sender takes for its own removal and stops: upstream means it here, but sends this.
      if (events.isRemoved(message.from) || message.to !== localId)
        return refuse(peerError('processingMessage'), [...headers, ...closing]);
      events.receive(message);
      return { status: 204, headers, body: emptyBytes };
    });
  };
}

/** @throws PeerError */
function decode(bytes: Buffer): Message {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    if (error instanceof ProtobufError) throw peerError('decodingMessage');
    throw error;
  }
}
