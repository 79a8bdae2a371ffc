/**
 * Starts a member's peer network over HTTP, wire-compatible with upstream's rafthttp. It opens no port: the owner gives `handler` to a
 * listener on each of the peer addresses.
 */
import type { Message } from '#api-etcd/gen/raft.ts';
import { assert } from '#std/assert.ts';
import type { Clock } from '#std/clock.ts';
import type { HttpHandler } from '#transport/http.ts';
import { SharedFrames } from './codec/msgapp-stream.ts';
import type { PeerContext, PeerTls } from './context.ts';
import { Peer, Remote } from './peer.ts';
import type { PeerEvents, PeerNetwork, PeerSource, SnapshotDatabase } from './peer-network.ts';
import type { ProbeStatus } from './prober.ts';
import { peerHandler } from './server/handler.ts';
import { Traffic } from './traffic.ts';

export interface PeerNetworkConfig {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** `--initial-advertise-peer-urls`. */
  readonly peerUrls: readonly string[];
  /** Client side of TLS, for addresses with https: `--peer-cert-file`, `--peer-key-file`, `--peer-trusted-ca-file`. */
  readonly tls?: PeerTls;
  /** `--election-timeout`; connections get a second more than it. Default 1000. */
  readonly electionTimeoutMs?: number;
}

export interface PeerNetworkDeps {
  readonly clock: Clock;
  readonly events: PeerEvents;
  readonly source: PeerSource;
  /** What an operator should know; one line each. */
  readonly log: (message: string) => void;
  /** What only tells how things go: connections that come up, snapshots under way. */
  readonly inform?: (message: string) => void;
}

export interface HttpPeerNetwork extends PeerNetwork {
  /** Answers everything on the peer port. */
  readonly handler: HttpHandler;
  readonly traffic: Traffic;
  /** How long the way to a peer and back takes, and how far the clocks are apart. */
  probe(id: bigint): ProbeStatus | undefined;
  /** New connections use the new certificate and authorities; those that stand keep theirs. */
  reload(tls: PeerTls): void;
}

/** Requests make members known that are not in the log yet. Of more than these the oldest is forgotten. */
const remotesMax = 32;

export function startPeerNetwork({
  config,
  deps,
}: {
  readonly config: PeerNetworkConfig;
  readonly deps: PeerNetworkDeps;
}): HttpPeerNetwork {
  return new RaftHttp(config, deps);
}

class RaftHttp implements HttpPeerNetwork {
  readonly handler: HttpHandler;
  readonly traffic = new Traffic();
  readonly #context: PeerContext;
  readonly #peers = new Map<bigint, Peer>();
  readonly #remotes = new Map<bigint, Remote>();
  readonly #unreachable = new Set<bigint>();
  /** Peers that are being left. */
  readonly #leaving = new Set<Promise<void>>();
  #tls: PeerTls | undefined;
  #flushing = false;
  #closed: Promise<void> | undefined;

  constructor(config: PeerNetworkConfig, { clock, events, source, log, inform = () => {} }: PeerNetworkDeps) {
    const { memberId, clusterId, peerUrls, tls, electionTimeoutMs = 1000 } = config;
    this.#tls = tls;
    this.#context = {
      localId: memberId,
      clusterId,
      urls: peerUrls,
      dialTimeoutMs: 1000 + electionTimeoutMs,
      clock,
      events,
      log,
      inform,
      traffic: this.traffic,
      frames: new SharedFrames(),
      tls: () => this.#tls,
      reportUnreachable: (id) => {
        this.#unreachable.add(id);
        this.#flushSoon();
      },
    };
    this.handler = peerHandler({
      context: this.#context,
      source,
      peer: (id) => this.#peers.get(id),
      addRemote: (id, urls) => this.addRemote(id, urls),
    });
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) {
      const peer = this.#peers.get(message.to);
      if (peer !== undefined) peer.send(message);
      else this.#remotes.get(message.to)?.send(message);
    }
    this.#flushSoon();
  }

  sendSnapshot(message: Message, database: SnapshotDatabase): void {
    const peer = this.#peers.get(message.to);
    if (peer !== undefined) {
      peer.sendSnapshot(message, database);
      return;
    }
    // As upstream: nobody waits for the outcome of a snapshot to a member that is not there.
    database[Symbol.asyncDispose]().then(undefined, (error: unknown) => this.#context.log(`${error}`));
  }

  addPeer(id: bigint, urls: readonly string[]): void {
    assert(this.#closed === undefined, 'the peer network is closed');
    assert(urls.length > 0, 'a peer has an address');
    if (this.#peers.has(id)) return;
    this.#peers.set(id, new Peer(this.#context, id, urls));
  }

  addRemote(id: bigint, urls: readonly string[]): void {
    if (this.#closed !== undefined || this.#peers.has(id) || this.#remotes.has(id)) return;
    if (this.#remotes.size >= remotesMax) {
      const [oldest] = this.#remotes.keys();
      this.#leave(this.#remotes.get(oldest!)!);
      this.#remotes.delete(oldest!);
    }
    this.#remotes.set(id, new Remote(this.#context, id, urls));
  }

  updatePeer(id: bigint, urls: readonly string[]): void {
    assert(urls.length > 0, 'a peer has an address');
    this.#peers.get(id)?.update(urls);
  }

  removePeer(id: bigint): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#peers.delete(id);
    this.#leave(peer);
  }

  activeSinceMs(id: bigint): number | undefined {
    return this.#peers.get(id)?.status.activeSinceMs;
  }

  metrics(): string {
    return this.traffic.render(this.#context.localId);
  }

  reaches(id: bigint): boolean {
    return this.#peers.get(id)?.reachable ?? false;
  }

  probe(id: bigint): ProbeStatus | undefined {
    return this.#peers.get(id)?.probe;
  }

  reload(tls: PeerTls): void {
    this.#tls = tls;
    for (const peer of [...this.#peers.values(), ...this.#remotes.values()]) peer.reload(tls);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    for (const each of [...this.#peers.values(), ...this.#remotes.values()]) this.#leave(each);
    this.#peers.clear();
    this.#remotes.clear();
    await Promise.all(this.#leaving);
  }

  #leave(peer: Peer | Remote): void {
    const leaving: Promise<void> = peer[Symbol.asyncDispose]().then(
      () => void this.#leaving.delete(leaving),
      (error: unknown) => this.#context.log(`a peer could not be left: ${error}`),
    );
    this.#leaving.add(leaving);
  }

  /** At the end of what runs now: everything that is sent meanwhile leaves together. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      for (const peer of this.#peers.values()) peer.flush();
      if (this.#unreachable.size === 0) return;
      const ids = [...this.#unreachable];
      this.#unreachable.clear();
      if (this.#closed === undefined) for (const id of ids) this.#context.events.reportUnreachable(id);
    });
  }
}
