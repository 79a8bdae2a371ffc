/** What is counted of the traffic with peers, and as what Prometheus reads it (upstream: rafthttp's metrics). */
import { hexId } from './context.ts';

/** Upstream's buckets of round trips: 0.1 ms doubling, 16 times. */
const roundTripBuckets = Array.from({ length: 16 }, (_, i) => 0.0001 * 2 ** i);

export class PeerTraffic {
  sentBytes = 0;
  receivedBytes = 0;
  sendFailures = 0;
  receiveFailures = 0;
  snapshotsSent = 0;
  snapshotsReceived = 0;
  snapshotSendFailures = 0;
  snapshotReceiveFailures = 0;
  active = false;
  disconnects = 0;
  readonly #roundTrips = new Array<number>(roundTripBuckets.length).fill(0);
  #roundTripSum = 0;
  #roundTripCount = 0;

  roundTrip(seconds: number): void {
    const bucket = roundTripBuckets.findIndex((bound) => seconds <= bound);
    if (bucket >= 0) this.#roundTrips[bucket]!++;
    this.#roundTripSum += seconds;
    this.#roundTripCount++;
  }

  roundTripLines(name: string, label: string): string {
    if (this.#roundTripCount === 0) return '';
    let below = 0;
    const buckets = roundTripBuckets.map((bound, i) => {
      below += this.#roundTrips[i]!;
      return `${name}_bucket{${label},le="${bound}"} ${below}\n`;
    });
    return `${buckets.join('')}${name}_bucket{${label},le="+Inf"} ${this.#roundTripCount}\n${name}_sum{${label}} ${this.#roundTripSum}\n${name}_count{${label}} ${this.#roundTripCount}\n`;
  }
}

/** Members that are counted; a cluster has a handful, one that has lived long has seen some more. */
const peersMax = 256;

export class Traffic {
  readonly #peers = new Map<bigint, PeerTraffic>();

  /** The counters of a peer. They stay when it is removed: counters never go back. */
  of(id: bigint): PeerTraffic {
    const known = this.#peers.get(id);
    if (known !== undefined) return known;
    const traffic = new PeerTraffic();
    if (this.#peers.size < peersMax) this.#peers.set(id, traffic);
    return traffic;
  }

  /** @param local the member whose traffic it is */
  render(local: bigint): string {
    let text = '';
    const peers = [...this.#peers];
    for (const [name, type, help, labelled] of series) {
      if (peers.length === 0) break;
      text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
      for (const [id, traffic] of peers) {
        const [label, value] = labelled(traffic, hexId(id), hexId(local));
        text += `${name}{${label}} ${value}\n`;
      }
    }
    const name = 'etcd_network_peer_round_trip_time_seconds';
    const lines = peers.map(([id, traffic]) => traffic.roundTripLines(name, `To="${hexId(id)}"`)).join('');
    if (lines !== '')
      text += `# HELP ${name} Round-Trip-Time histogram between peers\n# TYPE ${name} histogram\n${lines}`;
    return text;
  }
}

type Series = readonly [
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  labelled: (traffic: PeerTraffic, remote: string, local: string) => readonly [label: string, value: number],
];

const series: readonly Series[] = [
  [
    'etcd_network_active_peers',
    'gauge',
    'The current number of active peer connections.',
    ({ active }, remote, local) => [`Local="${local}",Remote="${remote}"`, active ? 1 : 0],
  ],
  [
    'etcd_network_disconnected_peers_total',
    'counter',
    'The total number of disconnected peers.',
    ({ disconnects }, remote, local) => [`Local="${local}",Remote="${remote}"`, disconnects],
  ],
  [
    'etcd_network_peer_sent_bytes_total',
    'counter',
    'The total number of bytes sent to peers.',
    ({ sentBytes }, remote) => [`To="${remote}"`, sentBytes],
  ],
  [
    'etcd_network_peer_received_bytes_total',
    'counter',
    'The total number of bytes received from peers.',
    ({ receivedBytes }, remote) => [`From="${remote}"`, receivedBytes],
  ],
  [
    'etcd_network_peer_sent_failures_total',
    'counter',
    'The total number of send failures from peers.',
    ({ sendFailures }, remote) => [`To="${remote}"`, sendFailures],
  ],
  [
    'etcd_network_peer_received_failures_total',
    'counter',
    'The total number of receive failures from peers.',
    ({ receiveFailures }, remote) => [`From="${remote}"`, receiveFailures],
  ],
  [
    'etcd_network_snapshot_send_success',
    'counter',
    'Total number of successful snapshot sends',
    ({ snapshotsSent }, remote) => [`To="${remote}"`, snapshotsSent],
  ],
  [
    'etcd_network_snapshot_send_failures',
    'counter',
    'Total number of snapshot send failures',
    ({ snapshotSendFailures }, remote) => [`To="${remote}"`, snapshotSendFailures],
  ],
  [
    'etcd_network_snapshot_receive_success',
    'counter',
    'Total number of successful snapshot receives',
    ({ snapshotsReceived }, remote) => [`From="${remote}"`, snapshotsReceived],
  ],
  [
    'etcd_network_snapshot_receive_failures',
    'counter',
    'Total number of snapshot receive failures',
    ({ snapshotReceiveFailures }, remote) => [`From="${remote}"`, snapshotReceiveFailures],
  ],
];
