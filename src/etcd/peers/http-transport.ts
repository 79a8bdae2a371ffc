/**
 * Other members over HTTP, as upstream's: what a member that stands alone on its addresses is started with. It opens no port: the owner gives
 * `handler` to a listener on each peer address, and may do so before the member is up.
 */
import type { Clock } from '#std/clock.ts';
import type { HttpHandler } from '#transport/http.ts';
import type { PeerTls } from './context.ts';
import { PeerClient } from './peer-client.ts';
import type { PeerCalls, PeerTransport } from './peers.ts';
import { fromPeer, renewalTold, timeToLiveTold } from './source.ts';
import { type HttpPeerNetwork, startPeerNetwork } from './start.ts';

export interface HttpPeerTransportOptions {
  readonly clock: Clock;
  /** `--initial-advertise-peer-urls`. */
  readonly peerUrls: readonly string[];
  readonly electionTimeoutMs: number;
  readonly tls?: PeerTls;
  readonly log: (message: string) => void;
  /** What only tells how things go. */
  readonly inform?: (message: string) => void;
}

export interface HttpPeerTransport extends PeerTransport, AsyncDisposable {
  /** Answers everything on the peer port. */
  readonly handler: HttpHandler;
  /** New connections use the new certificate and authorities. */
  reload(tls: PeerTls): void;
}

export function httpPeerTransport(options: HttpPeerTransportOptions): HttpPeerTransport {
  const { clock, peerUrls, electionTimeoutMs, tls, log, inform } = options;
  const client = new PeerClient({
    clock,
    timeoutMs: 5000 + 2 * electionTimeoutMs,
    dialTimeoutMs: 1000 + electionTimeoutMs,
    ...(tls && { tls }),
  });
  let network: HttpPeerNetwork | undefined;
  return {
    callsTo: (urls) => callsOf(client, urls),
    connect({ memberId, clusterId, events, source }) {
      network = startPeerNetwork({
        config: { memberId, clusterId, peerUrls, electionTimeoutMs, ...(tls && { tls }) },
        deps: { clock, events, source, log, ...(inform && { inform }) },
      });
      return network;
    },
    async handler(request) {
      if (network !== undefined) return network.handler(request);
      // Not a member yet: whoever asks tries again.
      return { status: 503, headers: [['content-type', 'text/plain; charset=utf-8']], body: Buffer.from('starting\n') };
    },
    reload(fresh) {
      client.reload(fresh);
      network?.reload(fresh);
    },
    // The network is the member's to close.
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

function callsOf(client: PeerClient, urls: readonly string[]): PeerCalls {
  const told = (error: unknown) => {
    throw fromPeer(error);
  };
  return {
    members: () => client.members(urls),
    version: () => client.version(urls),
    renewLease: (id) => renewalTold(client.renewLease(urls, id)),
    leaseTimeToLive: (id, keys) => timeToLiveTold(client.leaseTimeToLive(urls, id, keys), id),
    hashKv: (clusterId, revision) => client.hashKv(urls, clusterId, revision),
    promote: (id, token) => client.promote(urls, id, token).catch(told),
  };
}
