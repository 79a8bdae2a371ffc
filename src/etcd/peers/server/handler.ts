/** The peer port: which path is answered by what (upstream: etcdhttp's peer handler). */
import type { HttpHandler, HttpRequest, HttpResponse } from '#transport/http.ts';
import type { PeerContext } from '../context.ts';
import type { Peer } from '../peer.ts';
import type { PeerSource } from '../peer-network.ts';
import { answerError, notFound } from './answer.ts';
import { downgradeEnabledHandler } from './downgrade-enabled.ts';
import { hashKvHandler } from './hash-kv.ts';
import { leaseHandler, leaseInternalHandler } from './leases.ts';
import { membersHandler } from './members.ts';
import { pipelineHandler } from './pipeline.ts';
import { probingHandler } from './probing.ts';
import { promoteHandler } from './promote.ts';
import { snapshotHandler } from './snapshot.ts';
import { streamHandler } from './stream.ts';
import { versionHandler } from './version.ts';

export interface PeerServer {
  readonly context: PeerContext;
  readonly source: PeerSource;
  readonly peer: (id: bigint) => Peer | undefined;
  readonly addRemote: (id: bigint, urls: readonly string[]) => void;
}

/** One path's answer. @throws PeerError, which is answered with its status and text */
export type PathHandler = (request: HttpRequest, path: string) => HttpResponse | Promise<HttpResponse>;

export function peerHandler(server: PeerServer): HttpHandler {
  const exact: Readonly<Record<string, PathHandler>> = {
    '/raft': pipelineHandler(server),
    '/raft/snapshot': snapshotHandler(server),
    '/raft/probing': probingHandler(server),
    '/members': membersHandler(server),
    '/members/hashkv': hashKvHandler(server),
    '/leases': leaseHandler(server),
    '/leases/internal': leaseInternalHandler(server),
    '/downgrade/enabled': downgradeEnabledHandler(server),
    '/version': versionHandler(server),
  };
  const below: readonly (readonly [prefix: string, handler: PathHandler])[] = [
    ['/raft/stream/', streamHandler(server)],
    ['/members/promote/', promoteHandler(server)],
  ];
  return async (request) => {
    const [path] = request.target.split('?', 1);
    const handler = Object.hasOwn(exact, path!)
      ? exact[path!]!
      : (below.find(([prefix]) => path!.startsWith(prefix))?.[1] ?? notFound);
    try {
      return await handler(request, path!);
    } catch (error) {
      return answerError(error, server.context);
    }
  };
}
