/**
 * Sees everything that happens in a group and throws when one of the properties breaks that Raft promises (Raft, figure 3), or when a read
 * goes back in time.
 */
import type { Entry } from '#api-etcd/gen/raft.ts';
import type { RawNode } from '#raft/raw-node.ts';

interface Member {
  readonly id: bigint;
  readonly isUp: boolean;
  readonly node: RawNode;
}

/** What an entry is, and the term of the one before it: by log matching it decides everything before. */
interface Known {
  readonly previousTerm: number | undefined;
  readonly data: string;
}

export class SafetyOracle {
  readonly #leaders = new Map<number, bigint>();
  /** By index and term. */
  readonly #entries = new Map<string, Known>();
  /** Terms of committed entries, by index. */
  readonly #committed = new Map<number, number>();
  /** The state after each index. */
  readonly #states = new Map<number, number>();
  readonly #reads = new Map<string, number>();
  readonly #seen = new Map<bigint, string>();
  #commitMax = 0;
  /** For reports of how much a run has covered. */
  readonly counts = { leaders: 0, committed: 0, readsAnswered: 0, snapshotsLoaded: 0 };

  check(members: readonly Member[]): void {
    for (const { id, isUp, node } of live(members)) {
      if (!isUp) continue;
      const { log, term, state } = node.raft;
      const now = `${term} ${state} ${log.committed} ${log.lastIndex()} ${log.lastTerm()} ${log.firstIndex()}`;
      if (this.#seen.get(id) === now) continue;
      this.#seen.set(id, now);
      this.#checkLog(node);
      this.#checkCommitted(node, members);
      if (state === 'StateLeader') this.#checkLeader(node);
    }
  }

  /** Log matching: entries of the same index and term are the same, and so is everything before them. */
  #checkLog({ id, raft: { log } }: RawNode): void {
    const first = log.firstIndex();
    const entries = log.entries(first, Infinity) ?? [];
    let previousTerm = log.term(first - 1);
    entries.forEach((entry, i) => {
      if (entry.index !== first + i) throw new Error(`${id}: entry ${entry.index} stands at ${first + i}`);
      if (previousTerm !== undefined && entry.term < previousTerm)
        throw new Error(`${id}: terms go down at ${entry.index}`);
      const key = `${entry.index}/${entry.term}`;
      const known = this.#entries.get(key);
      const data = textOf(entry);
      if (known === undefined) this.#entries.set(key, { previousTerm, data });
      else if (known.data !== data || known.previousTerm !== previousTerm)
        throw new Error(`${id}: log matching broken at ${key}`);
      previousTerm = entry.term;
    });
  }

  /** State machine safety, seen in the logs: nobody commits another entry at an index. */
  #checkCommitted(node: RawNode, members: readonly Member[]): void {
    const { log, term } = node.raft;
    const fresh: number[] = [];
    for (let index = log.firstIndex(); index <= log.committed; index++) {
      const entryTerm = log.term(index)!;
      const known = this.#committed.get(index);
      if (known === undefined) {
        this.#committed.set(index, entryTerm);
        this.counts.committed++;
        fresh.push(index);
      } else if (known !== entryTerm)
        throw new Error(`${node.id}: entry ${index} committed with term ${entryTerm}, and with ${known} before`);
    }
    this.#commitMax = Math.max(this.#commitMax, log.committed);
    if (fresh.length === 0) return;
    // A newer leader was elected before an older one heard that something is committed: it must have it all the same.
    for (const { isUp, node: other } of live(members))
      if (isUp && other.state === 'StateLeader' && other.term > term) this.#checkComplete(other, fresh);
  }

  /** Election safety and leader completeness. */
  #checkLeader(node: RawNode): void {
    const known = this.#leaders.get(node.term);
    if (known === node.id) return;
    if (known !== undefined) throw new Error(`${known} and ${node.id} both lead term ${node.term}`);
    this.#leaders.set(node.term, node.id);
    this.counts.leaders++;
    this.#checkComplete(node, [...this.#committed.keys()]);
  }

  #checkComplete({ id, term, raft: { log } }: RawNode, indexes: readonly number[]): void {
    for (const index of indexes)
      if (index >= log.firstIndex() && log.term(index) !== this.#committed.get(index))
        throw new Error(`${id} leads term ${term} without committed entry ${index}`);
  }

  /** State machine safety, seen in the state machines. */
  applied(id: bigint, index: number, state: number): void {
    const known = this.#states.get(index);
    if (known === undefined) this.#states.set(index, state);
    else if (known !== state) throw new Error(`${id}: another state after entry ${index}`);
  }

  loaded(id: bigint, index: number, state: number): void {
    this.counts.snapshotsLoaded++;
    if (this.#states.has(index)) this.applied(id, index, state);
  }

  readAsked(context: Uint8Array): void {
    this.#reads.set(Buffer.from(context).toString(), this.#commitMax);
  }

  /** A read sees everything that anybody knew to be committed when it was asked for. */
  readAnswered(id: bigint, index: number, context: Uint8Array): void {
    this.counts.readsAnswered++;
    const asked = this.#reads.get(Buffer.from(context).toString());
    if (asked === undefined) throw new Error(`${id}: an answer to a read that nobody asked for`);
    if (index < asked) throw new Error(`${id}: a stale read: ${index}, but ${asked} was committed`);
  }
}

function live(members: readonly Member[]): readonly Member[] {
  return members.filter(({ isUp }) => isUp);
}

function textOf({ type, data }: Entry): string {
  return `${type} ${Buffer.from(data ?? []).toString('latin1')}`;
}
