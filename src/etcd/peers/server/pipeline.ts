/** POST /raft: one message. */
import type { Message } from '#api-etcd/gen/raft.ts';
import { ProtobufError } from '#wire/protobuf/message.ts';
import { decodeMessage, messageBytesMax } from '../codec/message-stream.ts';
import { ioTimeoutMs } from '../context.ts';
import { peerError } from '../peer-error.ts';
import { limitIdle, readBody } from '../read-body.ts';
import { allowMethod, closing, json, refuse } from './answer.ts';
import { checkCompatibility, clusterHeader, learnRemote } from './compatibility.ts';
import type { PathHandler, PeerServer } from './handler.ts';

export function pipelineHandler(server: PeerServer): PathHandler {
  const { context } = server;
  const { clock, events, localId, traffic } = context;
  return async (request) => {
    allowMethod(request, 'POST');
    checkCompatibility(request.headers, context);
    learnRemote(request.headers, server);
    const headers = [clusterHeader(context)];
    let bytes: Buffer;
    try {
      bytes = await readBody(limitIdle(request.body, clock, ioTimeoutMs), messageBytesMax);
    } catch (error) {
      context.log(`failed to read Raft message: ${error}`);
      return refuse(peerError('readingMessage'), [...headers, ...closing]);
    }
    let message: Message;
    try {
      message = decodeMessage(bytes);
    } catch (error) {
      if (!(error instanceof ProtobufError)) throw error;
      return refuse(peerError('decodingMessage'), headers);
    }
    traffic.of(message.from).receivedBytes += bytes.length;
    // Upstream answers these two as JSON.
    if (events.isRemoved(message.from)) return json({ message: peerError('fromRemoved').message }, 403, headers);
    if (message.to !== localId) return json({ message: peerError('toOther').message }, 403, headers);
    events.receive(message);
    return { status: 204, headers, body: new Uint8Array(0) };
  };
}
