/** GET /raft/stream/msgapp/ID and /raft/stream/message/ID: a body without end, on which the messages to the member ID leave. */
import { emptyBytes } from '#std/bytes.ts';
import { header } from '#transport/http.ts';
import { serverVersion } from '../../version.ts';
import { hexId, parseHexId } from '../context.ts';
import { peerError } from '../peer-error.ts';
import type { StreamKind } from '../stream-writer.ts';
import { allowMethod, withHeaders } from './answer.ts';
import { checkCompatibility, clusterHeader, learnUrls } from './compatibility.ts';
import type { PathHandler, PeerServer } from './handler.ts';

export function streamHandler(server: PeerServer): PathHandler {
  const { context } = server;
  const { events, localId, log } = context;
  const headers = [['x-server-version', serverVersion], clusterHeader(context)] as const;
  return (request, path) => {
    allowMethod(request, 'GET');
    return withHeaders(headers, () => {
      checkCompatibility(request.headers, context);
      const { kind, from } = parsePath(path);
      if (events.isRemoved(from)) throw peerError('removedMember');
      const peer = server.peer(from);
      if (peer === undefined) {
        // This member may be behind, and the other one newer than its log.
        learnUrls(from, request.headers, server.addRemote);
        log(`failed to find remote peer ${hexId(from)} in cluster`);
        throw peerError('senderNotFound');
      }
      if (header(request.headers, 'x-raft-to') !== hexId(localId)) throw peerError('toMismatch');
      return { status: 200, headers, body: emptyBytes, push: (sink) => peer.attach(kind, sink) };
    });
  };
}

/** @throws PeerError */
function parsePath(path: string): { readonly kind: StreamKind; readonly from: bigint } {
  const [, kind, id] = /^\/raft\/stream\/([^/]+)\/([^/]*)$/.exec(path) ?? [];
  if (kind !== 'msgapp' && kind !== 'message') throw peerError('invalidPath');
  const from = parseHexId(id!);
  if (from === undefined) throw peerError('invalidFrom');
  return { kind, from };
}
