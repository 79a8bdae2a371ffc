/**
 * What a leader believes of one follower: how much of the log it has, and how to send it more. It sends nothing itself.
 *
 * A follower is probed, one message at a time, until it says where its log agrees with ours; then it is replicated to, messages
 * following each other without waiting, within the window of `Inflights`; and where our log no longer reaches back far enough, it is
 * sent a snapshot and waited for.
 */
import { assert } from '#std/assert.ts';
import { Inflights } from './inflights.ts';

/** Named as upstream prints them. */
export type ProgressState = 'StateProbe' | 'StateReplicate' | 'StateSnapshot';

export class Progress {
  /** The highest index known to be on the follower, in agreement with our log. */
  match = 0;
  /** The next index to send. Everything from match+1 to here is on its way, or was lost. */
  next: number;
  state: ProgressState = 'StateProbe';
  isLearner: boolean;
  /** Something was heard from it since the last time its leader looked (check-quorum). */
  recentActive = true;
  /** Sending waits for a message or a tick: one probe is out, or the window is full. */
  flowPaused = false;
  /** In StateSnapshot: the index of the snapshot that was sent. */
  pendingSnapshot = 0;
  /** The highest commit index that was sent, whether or not it arrived. */
  sentCommit = 0;
  readonly inflights: Inflights;

  constructor(next: number, isLearner: boolean, inflightMessagesMax: number, inflightBytesMax: number) {
    this.next = next;
    this.isLearner = isLearner;
    this.inflights = new Inflights(inflightMessagesMax, inflightBytesMax);
  }

  /** A new leader knows nothing of the follower but that its own log ends before `next`. */
  reset(next: number, match: number): void {
    this.match = match;
    this.next = next;
    this.recentActive = false;
    this.#enter('StateProbe');
    this.sentCommit = 0;
  }

  becomeProbe(): void {
    // After a snapshot the follower has at least that.
    const next = this.state === 'StateSnapshot' ? Math.max(this.match, this.pendingSnapshot) + 1 : this.match + 1;
    this.#enter('StateProbe');
    this.next = next;
    this.sentCommit = Math.min(this.sentCommit, next - 1);
  }

  becomeReplicate(): void {
    this.#enter('StateReplicate');
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter('StateSnapshot');
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.sentCommit = index;
  }

  #enter(state: ProgressState): void {
    this.state = state;
    this.flowPaused = false;
    this.pendingSnapshot = 0;
    this.inflights.reset();
  }

  /** Whether nothing with entries may be sent now. */
  get isPaused(): boolean {
    return this.state === 'StateSnapshot' || this.flowPaused;
  }

  /** A message with `count` entries of `bytes` from `next` on was sent. */
  sentEntries(count: number, bytes: number): void {
    switch (this.state) {
      case 'StateReplicate':
        if (count > 0) {
          this.next += count;
          this.inflights.add(this.next - 1, bytes);
        }
        this.flowPaused = this.inflights.full;
        break;
      case 'StateProbe':
        // An empty message is no probe to wait for: it only carries the commit index.
        if (count > 0) this.flowPaused = true;
        break;
      default:
        assert(false, 'entries are not sent while a snapshot is on its way');
    }
  }

  /**
   * Whether sending this commit index may move the follower's on: it was not sent yet, and what was sent does not already cover
   * everything that the follower can have.
   */
  canBumpCommit(commit: number): boolean {
    return commit > this.sentCommit && this.sentCommit < this.next - 1;
  }

  /** The follower has everything up to `index`. False for old news. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.flowPaused = false;
    return true;
  }

  /**
   * The follower refused the entry after `rejected`; its log may agree with ours up to `hint`. Steps back, but never behind what is
   * known to match. False for an answer to a message that no longer counts.
   */
  maybeDecreaseTo(rejected: number, hint: number): boolean {
    if (this.state === 'StateReplicate') {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
      this.sentCommit = Math.min(this.sentCommit, this.next - 1);
      return true;
    }
    // While probing, only the answer to the one probe that is out counts.
    if (this.next - 1 !== rejected) return false;
    this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
    this.flowPaused = false;
    return true;
  }
}

/** One line for logs and status, in upstream's words. */
export function describeProgress(progress: Progress): string {
  let text = `${progress.state} match=${progress.match} next=${progress.next}`;
  if (progress.isLearner) text += ' learner';
  if (progress.isPaused) text += ' paused';
  if (progress.pendingSnapshot > 0) text += ` pendingSnap=${progress.pendingSnapshot}`;
  if (!progress.recentActive) text += ' inactive';
  if (progress.inflights.count > 0)
    text += ` inflight=${progress.inflights.count}${progress.inflights.full ? '[full]' : ''}`;
  return text;
}
