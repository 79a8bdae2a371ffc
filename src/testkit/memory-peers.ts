/**
 * Members of one cluster in one process, without sockets: every message is encoded and decoded, arrives in a later turn of the event loop, and does not
 * arrive where the test has cut the way. A cut ends what is on that way, too: calls that wait for their answer, and states that are half sent.
 */
import { Message } from '#api-etcd/gen/raft.ts';
import type { PeerNetwork, SnapshotDatabase } from '#etcd/peers/peer-network.ts';
import type { PeerCalls, PeerHost, PeerTransport } from '#etcd/peers/peers.ts';
import { nextTurn } from '#host/event-loop.ts';
import { peerCalls } from './peer-calls.ts';

interface Joined {
  readonly host: PeerHost;
  readonly peers: Set<bigint>;
  open: boolean;
}

export class MemoryPeers {
  readonly #joined = new Map<bigint, Joined>();
  /** `from>to` of ways that are cut. */
  readonly #cut = new Set<string>();
  /** Told whenever a way may have been cut. */
  readonly #onCut = new Set<() => void>();
  #byUrl = new Map<string, bigint>();
  snapshots = 0;

  /** The transport of the member that has these addresses. */
  transport(urls: readonly string[]): PeerTransport {
    return {
      callsTo: (targets) => this.#callsTo(urls, targets),
      connect: (host) => this.#connect(host, urls),
    };
  }

  /** Nothing goes from one to the other, nor back; what is on its way is lost. */
  cut(a: bigint, b: bigint): void {
    this.#cut.add(`${a}>${b}`).add(`${b}>${a}`);
    this.#tellCut();
  }

  /** Cuts a member off from all others. */
  isolate(id: bigint): void {
    for (const other of this.#joined.keys()) if (other !== id) this.cut(id, other);
  }

  heal(): void {
    this.#cut.clear();
  }

  #tellCut(): void {
    for (const told of [...this.#onCut]) told();
  }

  /** Of a request and its answer, or a stream. @returns what the work comes to; rejects as soon as either way is cut, or the other side is closed */
  async #connected<T>(from: bigint, target: Joined, work: () => T | Promise<T>): Promise<T> {
    const to = target.host.memberId;
    const lost = Promise.withResolvers<never>();
    const check = () => {
      const cut = this.#cut.has(`${from}>${to}`) || this.#cut.has(`${to}>${from}`);
      if (cut || !target.open) lost.reject(new Error('connection lost'));
    };
    check();
    this.#onCut.add(check);
    try {
      return await Promise.race([lost.promise, nextTurn().then(work)]);
    } finally {
      this.#onCut.delete(check);
    }
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
      [Symbol.asyncDispose]: async () => {
        joined.open = false;
        this.#tellCut();
      },
    };
  }

  async #sendSnapshot(from: Joined, message: Message, database: SnapshotDatabase): Promise<void> {
    await using _ = database;
    const bytes = Message.encode(message);
    const pages = await Array.fromAsync(database.pages());
    const { memberId } = from.host;
    const target = this.#reaches(memberId, message.to);
    if (target === undefined) throw new Error('unreachable');
    let lost: unknown;
    const arriving = (async function* () {
      for (const page of pages) {
        if (lost !== undefined) throw lost;
        yield page;
      }
    })();
    await this.#connected(memberId, target, () =>
      target.host.events.receiveSnapshot(Message.decode(bytes), arriving, database.bytes),
    ).catch((error: unknown) => {
      lost = error;
      throw error;
    });
  }

  #callsTo(own: readonly string[], urls: readonly string[]): PeerCalls {
    const call = async <T>(ask: (host: PeerHost) => T | Promise<T>): Promise<T> => {
      const from = own.map((url) => this.#byUrl.get(url)).find((id) => id !== undefined) ?? 0n;
      for (const url of urls) {
        const target = this.#reaches(from, this.#byUrl.get(url) ?? 0n);
        if (target !== undefined) return this.#connected(from, target, () => ask(target.host));
      }
      throw new Error(`nobody at ${urls.join()}`);
    };
    return peerCalls(call);
  }
}
