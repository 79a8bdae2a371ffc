/**
 * The leader makes voters of learners that have caught up, where `--wherry-promote-learners` asks for it: nobody has to try again and again until they
 * have. A learner must be in sync, and heard of, at two looks in a row: one that comes and goes would be a voter who is down.
 */
import { isEtcdError } from '#api-etcd/errors.ts';
import { type Clock, sleep } from '#std/clock.ts';
import type { Member } from '../member.ts';
import { isInSync, promote } from './promote.ts';

const intervalMs = 1000;
const notYet = ['learnerNotReady', 'memberNotFound', 'memberNotLearner'] as const;

export interface LearnerPromoterOptions {
  readonly member: Member;
  readonly clock: Clock;
  /** What an operator should know. */
  readonly log: (message: string) => void;
  readonly inform: (message: string) => void;
}

export class LearnerPromoter implements Disposable {
  readonly #options: LearnerPromoterOptions;
  readonly #stop = new AbortController();
  /** In sync at the last look. */
  #seen: ReadonlySet<bigint> = new Set();
  /** The last complaint. */
  #said = '';

  constructor(options: LearnerPromoterOptions) {
    this.#options = options;
    this.#run().catch(() => {});
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    for (;;) {
      await sleep(this.#options.clock, intervalMs, this.#stop.signal);
      await this.#look();
    }
  }

  async #look(): Promise<void> {
    const { member } = this.#options;
    const learners = member.isLeader ? member.machine.members.all().filter(({ isLearner }) => isLearner) : [];
    const inSync = learners.filter(
      ({ id }) => isInSync(member, id) && member.replica?.progress(id)?.recentActive === true,
    );
    const again = inSync.filter(({ id }) => this.#seen.has(id));
    this.#seen = new Set(inSync.map(({ id }) => id));
    // One change at a time, as the log takes them.
    for (const { id, name } of again) await this.#promote(id, name);
  }

  async #promote(id: bigint, name: string): Promise<void> {
    const { member, log, inform } = this.#options;
    const who = `the learner ${name} (${id.toString(16)})`;
    try {
      await promote(member, id);
      inform(`${who} has caught up and is a voter now`);
      this.#said = '';
    } catch (error) {
      // It has fallen behind, was removed or promoted meanwhile: the next look knows.
      if (notYet.some((reason) => isEtcdError(error, reason))) return;
      const text = `${who} could not be promoted: ${error instanceof Error ? error.message : error}`;
      // Once, not every second.
      if (text !== this.#said) log(text);
      this.#said = text;
    }
  }
}
