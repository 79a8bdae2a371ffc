/**
 * The network between members: messages are bytes on their way, which takes time; some are lost, come twice, or overtake each other; ways are cut, one
 * direction at a time.
 */
import { Message, MessageType } from '#api-etcd/gen/raft.ts';
import type { PeerNetwork, SnapshotDatabase } from '#etcd/peers/peer-network.ts';
import type { PeerCalls, PeerHost, PeerTransport } from '#etcd/peers/peers.ts';
import { peerCalls } from '#testkit/peer-calls.ts';
import type { MemberClock } from './member-clock.ts';
import type { World } from './world.ts';

/** How bad the network is. */
export interface Weather {
  readonly lossPermille: number;
  readonly duplicatePermille: number;
  readonly delayMsMax: number;
  /** Messages may overtake each other. */
  readonly reorders: boolean;
}

export const fair: Weather = { lossPermille: 0, duplicatePermille: 0, delayMsMax: 1, reorders: false };

interface Endpoint {
  readonly host: PeerHost;
  readonly clock: MemberClock;
  readonly peers: Set<bigint>;
  /** When the last message to each of them arrives. */
  readonly lastAtMs: Map<bigint, number>;
  open: boolean;
}

/** Delays are multiples of this, so that what arrives about at once is handled at once. */
const stepsPerMs = 4;

/**
 * All ways between the members of one simulation. Cuts and storms overlap: each lasts until whoever made it ends it, and the last storm that began is the weather.
 */
export class SimNetwork {
  readonly counts = { messages: 0, lost: 0, duplicated: 0, snapshots: 0 };
  readonly #world: World;
  readonly #endpoints = new Map<bigint, Endpoint>();
  readonly #byUrl = new Map<string, bigint>();
  /** Each with the ways that it cuts, as `from>to`. */
  readonly #cuts = new Set<ReadonlySet<string>>();
  readonly #storms = new Set<Weather>();

  constructor(world: World) {
    this.#world = world;
  }

  get weather(): Weather {
    return [...this.#storms].at(-1) ?? fair;
  }

  /** The transport of the member that has this address, for one run of it. */
  transport(url: string, clock: MemberClock): PeerTransport {
    return {
      callsTo: (urls) => this.#callsTo(url, urls),
      connect: (host) => this.#connect(host, url, clock),
    };
  }

  /** Nothing goes these ways, each from one to another. @returns what ends that */
  cut(ways: readonly (readonly [from: bigint, to: bigint])[]): () => void {
    const cut = new Set(ways.map(([from, to]) => `${from}>${to}`));
    this.#cuts.add(cut);
    return () => void this.#cuts.delete(cut);
  }

  /** @returns what ends it */
  storm(weather: Weather): () => void {
    const own = { ...weather };
    this.#storms.add(own);
    return () => void this.#storms.delete(own);
  }

  /** Ends all cuts and storms, whoever made them. */
  heal(): void {
    this.#cuts.clear();
    this.#storms.clear();
  }

  #reachable(from: bigint, to: bigint): Endpoint | undefined {
    const target = this.#endpoints.get(to);
    if (target === undefined || !target.open || !target.clock.alive) return undefined;
    for (const cut of this.#cuts) if (cut.has(`${from}>${to}`)) return undefined;
    return target;
  }

  #delayMs(): number {
    const nowMs = this.#world.monotonicMs();
    return (
      Math.ceil((nowMs + this.#world.between(1, this.weather.delayMsMax * stepsPerMs) / stepsPerMs) * stepsPerMs) /
        stepsPerMs -
      nowMs
    );
  }

  /** Of a message that overtakes no other. */
  #delayInOrderMs(from: Endpoint, to: bigint): number {
    const nowMs = this.#world.monotonicMs();
    const atMs = Math.max(nowMs + this.#delayMs(), from.lastAtMs.get(to) ?? 0);
    from.lastAtMs.set(to, atMs);
    return atMs - nowMs;
  }

  #connect(host: PeerHost, url: string, clock: MemberClock): PeerNetwork {
    const endpoint: Endpoint = { host, clock, peers: new Set(), lastAtMs: new Map(), open: true };
    const { memberId, events } = host;
    this.#endpoints.set(memberId, endpoint);
    this.#byUrl.set(url, memberId);
    return {
      send: (messages) => {
        if (clock.alive) this.#send(endpoint, messages);
      },
      sendSnapshot: (message, database) => {
        if (!clock.alive) return;
        this.counts.snapshots++;
        const tell = (ok: boolean) => clock.whenRunning(() => endpoint.open && events.reportSnapshot(message.to, ok));
        this.#sendSnapshot(endpoint, message, database).then(
          () => tell(true),
          () => tell(false),
        );
      },
      addPeer: (id) => void endpoint.peers.add(id),
      addRemote: (id) => void endpoint.peers.add(id),
      updatePeer() {},
      removePeer: (id) => void endpoint.peers.delete(id),
      activeSinceMs: (id) => (this.#reachable(memberId, id) === undefined ? undefined : Number.NEGATIVE_INFINITY),
      reaches: (id) => this.#reachable(memberId, id) !== undefined,
      async [Symbol.asyncDispose]() {
        endpoint.open = false;
      },
    };
  }

  #send(from: Endpoint, messages: readonly Message[]): void {
    const { memberId } = from.host;
    const together = new Map<bigint, Uint8Array[]>();
    const { lossPermille, duplicatePermille, reorders } = this.weather;
    const world = this.#world;
    for (const message of messages) {
      if (!from.peers.has(message.to)) continue;
      this.counts.messages++;
      if (lossPermille > 0 && world.chance(lossPermille)) {
        this.counts.lost++;
        continue;
      }
      const bytes = Message.encode(message);
      // A proposal that came twice would be two; neither upstream's transport nor ours ever sends one again.
      const once = message.type === MessageType.MsgProp;
      const twice = !once && duplicatePermille > 0 && world.chance(duplicatePermille);
      if (twice) this.counts.duplicated++;
      for (let copy = 0; copy < (twice ? 2 : 1); copy++) {
        const batch = together.get(message.to);
        if (batch === undefined) together.set(message.to, [bytes]);
        else if (reorders && world.chance(300)) this.#carry(from, message.to, [bytes]);
        else batch.push(bytes);
      }
    }
    for (const [to, batch] of together) this.#carry(from, to, batch);
    // A sender notices now and then that nobody takes what it sends.
    for (const to of together.keys())
      if (this.#reachable(memberId, to) === undefined && world.chance(200))
        world.after(1, () => from.clock.whenRunning(() => from.open && from.host.events.reportUnreachable(to)));
  }

  #carry(from: Endpoint, to: bigint, batch: readonly Uint8Array[]): void {
    const { memberId } = from.host;
    const delayMs = this.weather.reorders ? this.#delayMs() : this.#delayInOrderMs(from, to);
    this.#world.after(delayMs, () => {
      const target = this.#reachable(memberId, to);
      target?.clock.whenRunning(() => {
        if (!target.open) return;
        if (target.host.events.isRemoved(memberId)) {
          // Whoever was away when it was removed hears it from whoever it turns to.
          const why = new Error('the member has been permanently removed from the cluster');
          this.#world.after(1, () => from.clock.whenRunning(() => from.open && from.host.events.refused(why)));
          return;
        }
        // As over HTTP: whoever is written to by a member that it does not know yet can answer it.
        target.peers.add(memberId);
        for (const bytes of batch) target.host.events.receive(Message.decode(bytes));
      });
    });
  }

  async #sendSnapshot(from: Endpoint, message: Message, database: SnapshotDatabase): Promise<void> {
    await using _ = database;
    const { memberId } = from.host;
    const bytes = Message.encode(message);
    const pages = await Array.fromAsync(database.pages());
    await this.#travel(from, this.#delayMs() * 4);
    const target = this.#reachable(memberId, message.to);
    if (target === undefined) throw new Error('unreachable');
    const endsAt = this.weather.lossPermille > 0 && this.#world.chance(100) ? this.#world.between(0, pages.length) : -1;
    // A way that is cut, or an end that is gone, breaks off what is half sent.
    const arrives = () => this.#reachable(memberId, message.to) === target && from.clock.alive;
    const arriving = (async function* () {
      for (const [i, page] of pages.entries()) {
        if (i === endsAt || !arrives()) throw new Error('cut off');
        yield page;
      }
    })();
    await Promise.race([
      target.host.events.receiveSnapshot(Message.decode(bytes), arriving, database.bytes),
      target.clock.killed.then(() => Promise.reject(new Error('connection lost'))),
    ]);
    // The sender hears of it only if the way back is open.
    if (this.#reachable(message.to, memberId) === undefined) throw new Error('connection lost');
  }

  #travel(from: Endpoint, ms: number): Promise<void> {
    return new Promise((resolve) => from.clock.after(ms, resolve));
  }

  #callsTo(own: string, urls: readonly string[]): PeerCalls {
    const call = async <T>(ask: (host: PeerHost) => T | Promise<T>): Promise<T> => {
      for (const url of urls) {
        const to = this.#byUrl.get(url) ?? 0n;
        const from = this.#byUrl.get(own) ?? 0n;
        const target = this.#reachable(from, to);
        if (target === undefined) continue;
        const answer = await Promise.race([
          new Promise<void>((resolve) => void target.clock.after(this.#delayMs(), resolve)).then(() =>
            ask(target.host),
          ),
          target.clock.killed.then(() => Promise.reject(new Error('connection lost'))),
        ]);
        // The way back may be cut by now: the caller then hears nothing.
        if (this.#reachable(to, from) !== undefined || from === 0n) return answer;
      }
      throw new Error(`nobody at ${urls.join()}`);
    };
    return peerCalls(call);
  }
}
