/**
 * Members of one cluster in one process, without sockets: every message is encoded and decoded, arrives in a later turn of the event loop, and does not
 * arrive where the test has cut the way.
 */
import { Message } from '#api-etcd/gen/raft.ts';
import type { ClusterMember } from '#etcd/cluster/members.ts';
import type { PeerNetwork, SnapshotDatabase } from '#etcd/peers/peer-network.ts';
import type { PeerCalls, PeerHost, PeerTransport } from '#etcd/peers/peers.ts';
import { fromPeer, renewalTold, timeToLiveTold } from '#etcd/peers/source.ts';
import { serverVersion } from '#etcd/version.ts';
import { nextTurn } from '#host/event-loop.ts';

interface Joined {
  readonly host: PeerHost;
  readonly peers: Set<bigint>;
  open: boolean;
}

export class MemoryPeers {
  readonly #joined = new Map<bigint, Joined>();
  /** `from>to` of ways that are cut. */
  readonly #cut = new Set<string>();
  #byUrl = new Map<string, bigint>();
  snapshots = 0;

  /** The transport of the member that has these addresses. */
  transport(urls: readonly string[]): PeerTransport {
    return {
      callsTo: (targets) => this.#callsTo(targets),
      connect: (host) => this.#connect(host, urls),
    };
  }

  /** Nothing goes from one to the other, nor back. */
  cut(a: bigint, b: bigint): void {
    this.#cut.add(`${a}>${b}`).add(`${b}>${a}`);
  }

  /** Cuts a member off from all others. */
  isolate(id: bigint): void {
    for (const other of this.#joined.keys()) if (other !== id) this.cut(id, other);
  }

  heal(): void {
    this.#cut.clear();
  }

  #reaches(from: bigint, to: bigint): Joined | undefined {
    const target = this.#joined.get(to);
    return target?.open && !this.#cut.has(`${from}>${to}`) ? target : undefined;
  }

  #connect(host: PeerHost, urls: readonly string[]): PeerNetwork {
    const joined: Joined = { host, peers: new Set(), open: true };
    const { memberId, events } = host;
    this.#joined.set(memberId, joined);
    for (const url of urls) this.#byUrl.set(url, memberId);
    const deliver = (message: Message) => {
      const target = joined.open ? this.#reaches(memberId, message.to) : undefined;
      if (target === undefined) {
        if (joined.open) events.reportUnreachable(message.to);
      } else if (!target.host.events.isRemoved(memberId)) target.host.events.receive(message);
    };
    return {
      send(messages) {
        for (const message of messages) {
          if (!joined.peers.has(message.to)) continue;
          const bytes = Message.encode(message);
          void nextTurn().then(() => deliver(Message.decode(bytes)));
        }
      },
      sendSnapshot: (message, database) => {
        this.snapshots++;
        this.#sendSnapshot(joined, message, database).then(
          () => events.reportSnapshot(message.to, true),
          () => joined.open && events.reportSnapshot(message.to, false),
        );
      },
      addPeer: (id) => void joined.peers.add(id),
      addRemote: (id) => void joined.peers.add(id),
      updatePeer() {},
      removePeer: (id) => void joined.peers.delete(id),
      activeSinceMs: (id) => (this.#reaches(memberId, id) === undefined ? undefined : Number.NEGATIVE_INFINITY),
      reaches: (id) => this.#reaches(memberId, id) !== undefined,
      async [Symbol.asyncDispose]() {
        joined.open = false;
      },
    };
  }

  async #sendSnapshot(from: Joined, message: Message, database: SnapshotDatabase): Promise<void> {
    await using _ = database;
    const bytes = Message.encode(message);
    const pages = await Array.fromAsync(database.pages());
    const target = this.#reaches(from.host.memberId, message.to);
    if (target === undefined) throw new Error('unreachable');
    const again = (async function* () {
      yield* pages;
    })();
    await target.host.events.receiveSnapshot(Message.decode(bytes), again, database.bytes);
  }

  #callsTo(urls: readonly string[]): PeerCalls {
    const target = () => {
      for (const url of urls) {
        const joined = this.#joined.get(this.#byUrl.get(url) ?? 0n);
        if (joined?.open) return joined.host;
      }
      throw new Error(`nobody at ${urls.join()}`);
    };
    const told = (error: unknown) => {
      throw fromPeer(error);
    };
    return {
      async members() {
        const { clusterId, source } = target();
        return { clusterId, members: source.members() as readonly ClusterMember[] };
      },
      version: async () => ({ server: serverVersion, cluster: target().source.clusterVersion() ?? '' }),
      renewLease: (id) => renewalTold((async () => target().source.renewLease(id))()),
      leaseTimeToLive: (id, keys) => timeToLiveTold((async () => target().source.leaseTimeToLive(id, keys))(), id),
      hashKv: async (_clusterId, revision) => target().source.hashKv(revision),
      promote: (id, token) => target().source.promote(id, token).catch(told) as Promise<readonly ClusterMember[]>,
    };
  }
}
