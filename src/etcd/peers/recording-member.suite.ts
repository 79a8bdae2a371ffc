/** A member as tests of the peer network need one: it records what arrives and answers from a table. On loopback, on a port of its own. */
import type { Message } from '#api-etcd/gen/raft.ts';
import { systemClock } from '#host/clock.ts';
import type { Clock } from '#std/clock.ts';
import { type Listener, type ListenOptions, listen } from '#transport/listen.ts';
import type { PeerTls } from './context.ts';
import type { PeerEvents, PeerSource } from './peer-network.ts';
import { type HttpPeerNetwork, startPeerNetwork } from './start.ts';

export const clusterId = 0xcdf818194e3a8c32n;

export interface RecordingMember extends AsyncDisposable {
  readonly id: bigint;
  readonly url: string;
  readonly network: HttpPeerNetwork;
  readonly listener: Listener;
  readonly received: Message[];
  readonly unreachable: bigint[];
  readonly snapshots: { readonly id: bigint; readonly ok: boolean }[];
  readonly refusals: Error[];
  readonly logged: string[];
  /** Resolves when the condition holds; it is asked after each event, and now and then. */
  until(condition: () => boolean): Promise<void>;
}

const untilMs = 20_000;

export async function startRecordingMember(options: {
  readonly id: bigint;
  readonly clusterId?: bigint;
  /** The port to listen on; a free one otherwise. */
  readonly port?: number;
  readonly serverTls?: NonNullable<ListenOptions['tls']>;
  readonly clientTls?: PeerTls;
  /** The network's own; the tests wait in real time. */
  readonly clock?: Clock;
  readonly events?: Partial<PeerEvents>;
  readonly source?: Partial<PeerSource>;
}): Promise<RecordingMember> {
  const { id, serverTls, clientTls } = options;
  const received: Message[] = [];
  const unreachable: bigint[] = [];
  const snapshots: { id: bigint; ok: boolean }[] = [];
  const refusals: Error[] = [];
  const logged: string[] = [];
  const waiting = new Set<() => void>();
  const changed = () => {
    for (const check of waiting) check();
  };
  const note = (message: string) => {
    logged.push(message);
    changed();
  };
  // The handler comes to be after the port is known, because the member's own address is part of what it sends.
  let handler: HttpPeerNetwork['handler'] | undefined;
  const listener = await listen({
    address: { host: '127.0.0.1', port: options.port ?? 0 },
    handler: (request) => handler!(request),
    ...(serverTls && { tls: serverTls }),
  });
  const url = `${serverTls === undefined ? 'http' : 'https'}://127.0.0.1:${listener.port}`;
  const network = startPeerNetwork({
    config: {
      memberId: id,
      clusterId: options.clusterId ?? clusterId,
      peerUrls: [url],
      ...(clientTls && { tls: clientTls }),
    },
    deps: {
      clock: options.clock ?? systemClock,
      events: {
        receive(message) {
          received.push(message);
          changed();
        },
        async receiveSnapshot() {
          throw new Error('no snapshot is expected');
        },
        reportUnreachable(peer) {
          unreachable.push(peer);
          changed();
        },
        reportSnapshot(peer, ok) {
          snapshots.push({ id: peer, ok });
          changed();
        },
        isRemoved: () => false,
        refused(why) {
          refusals.push(why);
          changed();
        },
        ...options.events,
      },
      source: { ...sourceOfNothing, ...options.source },
      log: note,
      inform: note,
    },
  });
  handler = network.handler;
  return {
    id,
    url,
    network,
    listener,
    received,
    unreachable,
    snapshots,
    refusals,
    logged,
    until(condition) {
      return new Promise((resolve, reject) => {
        const deadline = systemClock.after(untilMs, () =>
          settle(() => reject(new Error(`waited: ${logged.join('\n')}`))),
        );
        let tick = systemClock.after(50, function again() {
          check();
          tick = systemClock.after(50, again);
        });
        const settle = (how: () => void) => {
          deadline[Symbol.dispose]();
          tick[Symbol.dispose]();
          waiting.delete(check);
          how();
        };
        const check = () => {
          if (condition()) settle(resolve);
        };
        waiting.add(check);
        check();
      });
    },
    async [Symbol.asyncDispose]() {
      await network[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

const none = () => {
  throw new Error('not asked in this test');
};

const sourceOfNothing: PeerSource = {
  members: () => [],
  clusterVersion: () => undefined,
  storageVersion: () => undefined,
  hashKv: none,
  promote: none,
  renewLease: none,
  leaseTimeToLive: none,
  downgradeEnabled: none,
};

/** Both know each other, and all four streams between them are up. */
export async function connect(a: RecordingMember, b: RecordingMember): Promise<void> {
  a.network.addPeer(b.id, [b.url]);
  b.network.addPeer(a.id, [a.url]);
  await Promise.all([a, b].map((member) => member.until(() => streamsOf(member) >= 2)));
}

/** How often a peer has asked the member for a stream. */
export function streamsOf({ logged }: RecordingMember): number {
  return logged.filter((line) => line.startsWith('established TCP streaming connection')).length;
}
