/**
 * Whether all members hold the same: the leader now and then hashes its store at a revision, asks the others for their hash of it, and raises an alarm that
 * names whoever disagrees with the majority. Nobody writes while the alarm stands. On by default, at a cost of one
 * hundredth of the time. (upstream: server/etcdserver/corrupt.go, where it is off by default)
 */
import { type Clock, sleep } from '#std/clock.ts';
import { hashKv, type KvHash } from '../maintenance/hash-kv.ts';
import type { Member } from '../member.ts';
import type { PeerHash } from '../peers/peer-network.ts';
import type { PeerTransport } from '../peers/peers.ts';
import { raiseCorrupt } from './corrupt-alarm.ts';
import { type AskedPeer, askPeers } from './peer-hashes.ts';

export interface CorruptionMonitorOptions {
  readonly member: Member;
  readonly clock: Clock;
  readonly peers: PeerTransport;
  /** `--corrupt-check-time`; at least this between two checks. */
  readonly intervalMs: number;
  readonly log: (message: string) => void;
}

/** Hashing takes at most this share of the time. */
const shareMax = 0.01;

export class CorruptionMonitor implements Disposable {
  readonly #options: CorruptionMonitorOptions;
  readonly #stop = new AbortController();
  /** What the last hash took. */
  #hashMs = 0;

  constructor(options: CorruptionMonitorOptions) {
    this.#options = options;
    this.#run().catch((error: unknown) => {
      if (!this.#stop.signal.aborted) options.log(`members are no longer compared: ${error}`);
    });
  }

  [Symbol.dispose](): void {
    this.#stop.abort(new Error('the member stops'));
  }

  async #run(): Promise<void> {
    const { clock, intervalMs, member, log } = this.#options;
    let waitMs = intervalMs;
    for (;;) {
      await sleep(clock, waitMs, this.#stop.signal);
      if (member.isLeader && member.machine.members.all().length > 1)
        await this.check().catch((error: unknown) => log(`members could not be compared: ${error}`));
      // What the others take, or do not answer, costs this member nothing.
      waitMs = Math.max(intervalMs, this.#hashMs / shareMax);
    }
  }

  /** Compares all members that can be reached, once. For the leader. Resolves with the ids of those who disagree. */
  async check(): Promise<readonly bigint[]> {
    const { member, peers, log, clock } = this.#options;
    await member.linearized();
    const { memberId, clusterId } = member.identity;
    const startMs = clock.monotonicMs();
    const own = await hashKv(member.store.fork(), 0, this.#stop.signal);
    this.#hashMs = clock.monotonicMs() - startMs;
    const answers = await askPeers({
      peers,
      members: member.machine.members.all(),
      memberId,
      clusterId,
      revision: own.hashRevision,
    });
    const comparable = answers.filter(
      (answer): answer is AskedPeer & { readonly hash: PeerHash } =>
        // Who has compacted more or less by now is asked another time.
        answer.hash !== undefined && answer.hash.compactRevision === own.compactRevision,
    );
    const culprits = whoDisagrees([{ id: memberId, hash: own }, ...comparable]);
    for (const id of culprits) {
      const why = `member ${id.toString(16)} holds other data than the majority at revision ${own.hashRevision}`;
      if (await raiseCorrupt(member, id)) log(`${why}: alarm CORRUPT`);
    }
    return culprits;
  }
}

/** Those whose hash is not that of most. Two against two name all but the first's side: somebody must look. */
export function whoDisagrees(
  answers: readonly { readonly id: bigint; readonly hash: Pick<KvHash, 'hash'> }[],
): readonly bigint[] {
  const votes = new Map<number, number>();
  for (const { hash } of answers) votes.set(hash.hash, (votes.get(hash.hash) ?? 0) + 1);
  let majority = answers[0]!.hash.hash;
  for (const [hash, count] of votes) if (count > votes.get(majority)!) majority = hash;
  return answers.filter(({ hash }) => hash.hash !== majority).map(({ id }) => id);
}
