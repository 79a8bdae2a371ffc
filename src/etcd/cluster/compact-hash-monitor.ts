/**
 * Whether all members held the same when they last compacted: the leader now and then asks the others for their hash at a compaction of its own, and raises an
 * alarm that names the minority. The feature `CompactHashCheck`, off by default, beside the check by the clock (`corruption-monitor.ts`): it needs nobody to hash
 * anything when it is made, and covers what the compaction has dropped. (upstream: server/etcdserver/corrupt.go, of 3.6)
 */
import { type Clock, sleep } from '#std/clock.ts';
import type { KvHash } from '../maintenance/hash-kv.ts';
import type { Member } from '../member.ts';
import type { PeerTransport } from '../peers/peers.ts';
import { raiseCorrupt } from './corrupt-alarm.ts';
import { type AskedPeer, askPeers } from './peer-hashes.ts';

export interface CompactHashMonitorOptions {
  readonly member: Member;
  readonly clock: Clock;
  readonly peers: PeerTransport;
  /** `--compact-hash-check-time`. */
  readonly intervalMs: number;
  /** What an operator should know. */
  readonly log: (message: string) => void;
  readonly inform: (message: string) => void;
}

export class CompactHashMonitor implements Disposable {
  readonly #options: CompactHashMonitorOptions;
  readonly #stop = new AbortController();
  /** Everybody had the same up to here. */
  #checkedRevision = -1;

  constructor(options: CompactHashMonitorOptions) {
    this.#options = options;
    this.#run().catch((error: unknown) => {
      if (!this.#stop.signal.aborted) options.log(`compactions are no longer compared: ${error}`);
    });
  }

  [Symbol.dispose](): void {
    this.#stop.abort(new Error('the member stops'));
  }

  async #run(): Promise<void> {
    const { clock, intervalMs, member, log, inform } = this.#options;
    for (;;) {
      await sleep(clock, intervalMs, this.#stop.signal);
      if (!member.isLeader) continue;
      await this.#check().then(
        (count) => inform(`finished compaction hash check: ${count} hashes checked`),
        (error: unknown) => log(`compactions could not be compared: ${error}`),
      );
    }
  }

  /** From the newest compaction on, until all members have answered for one of them, or differ. Resolves with how many it looked at. */
  async #check(): Promise<number> {
    const { member, peers, log } = this.#options;
    const { memberId, clusterId } = member.identity;
    let count = 0;
    for (const own of member.compactions.hashes.newestFirst(this.#checkedRevision)) {
      count++;
      const members = member.machine.members.all();
      const asked = await askPeers({ peers, members, memberId, clusterId, revision: own.hashRevision });
      if (asked.length === 0) return count;
      const { culprits, answered } = compareCompactions(memberId, own, asked);
      if (culprits.length > 0) {
        for (const id of culprits)
          if (await raiseCorrupt(member, id)) log(`${describeMismatch(id, own, asked)}: alarm CORRUPT`);
        return count;
      }
      if (answered === asked.length) {
        this.#checkedRevision = own.hashRevision;
        return count;
      }
    }
    return count;
  }
}

function describeMismatch(
  id: bigint,
  { hash, hashRevision, compactRevision }: KvHash,
  asked: readonly AskedPeer[],
): string {
  const who =
    id === 0n
      ? 'Detected compaction hash mismatch but cannot identify the corrupted members, so intentionally set the memberID as 0'
      : `Detected compaction hash mismatch of member ${id.toString(16)}`;
  const theirs = asked.map((peer) => `${peer.id.toString(16)}: ${peer.hash?.hash ?? 'none'}`).join(', ');
  return `${who} (revision ${hashRevision}, compacted before at ${compactRevision}, leader ${hash}, ${theirs})`;
}

/**
 * Who differs. More than half of all members with the same hash are right, and whoever has another one is a culprit, the leader too; without such a majority it is
 * somebody, which is what the id 0 says. Who gives no answer, or has compacted at other revisions, has no part in it.
 */
export function compareCompactions(
  leaderId: bigint,
  leader: KvHash,
  asked: readonly AskedPeer[],
): { readonly culprits: readonly bigint[]; readonly answered: number } {
  const byHash = new Map<number, bigint[]>([[leader.hash, [leaderId]]]);
  let answered = 0;
  for (const { id, hash } of asked) {
    if (hash === undefined || hash.compactRevision !== leader.compactRevision) continue;
    answered++;
    byHash.set(hash.hash, [...(byHash.get(hash.hash) ?? []), id]);
  }
  if (byHash.size === 1) return { culprits: [], answered };
  const groups = [...byHash.values()];
  const majority = groups.find((ids) => ids.length > (asked.length + 1) / 2);
  return { culprits: majority === undefined ? [0n] : groups.filter((ids) => ids !== majority).flat(), answered };
}
