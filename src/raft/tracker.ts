/**
 * The progress of every member, kept in step with the configuration: who is new starts as far as our log reaches, who left is forgotten,
 * who stays keeps what is known of it. Answers the two questions of a leader: what is committed, and who is still there.
 */
import { assert } from '#std/assert.ts';
import { type Configuration, emptyConfiguration, membersOf } from './configuration.ts';
import { jointVoteResult, type NodeSet } from './joint.ts';
import { Progress } from './progress.ts';
import { committedIndex, type NodeId } from './quorum.ts';

export class Tracker {
  readonly #inflightMessagesMax: number;
  readonly #inflightBytesMax: number;
  #configuration: Configuration = emptyConfiguration;
  #progress = new Map<NodeId, Progress>();
  // Looked up once a configuration, not once a message.
  #members: readonly (readonly [NodeId, Progress])[] = [];
  #incoming: readonly Progress[] = [];
  #outgoing: readonly Progress[] = [];
  #acked = new Float64Array(0);

  constructor(inflightMessagesMax: number, inflightBytesMax: number) {
    this.#inflightMessagesMax = inflightMessagesMax;
    this.#inflightBytesMax = inflightBytesMax;
  }

  get configuration(): Configuration {
    return this.#configuration;
  }

  /** Members with their progress, in ascending order of id. */
  get members(): readonly (readonly [NodeId, Progress])[] {
    return this.#members;
  }

  get(id: NodeId): Progress | undefined {
    return this.#progress.get(id);
  }

  /** `lastIndex` is where our log ends: new members are tried from there. */
  configure(configuration: Configuration, lastIndex: number): void {
    const progress = new Map<NodeId, Progress>();
    for (const id of membersOf(configuration)) {
      const isLearner = configuration.learners.includes(id);
      let known = this.#progress.get(id);
      if (known === undefined)
        // Index 0 is no entry: an empty log is sent from 1 on.
        known = new Progress(Math.max(lastIndex, 1), isLearner, this.#inflightMessagesMax, this.#inflightBytesMax);
      known.isLearner = isLearner;
      progress.set(id, known);
    }
    this.#configuration = configuration;
    this.#progress = progress;
    this.#members = [...progress];
    this.#incoming = this.#progressOf(configuration.incoming);
    this.#outgoing = this.#progressOf(configuration.outgoing);
    this.#acked = new Float64Array(Math.max(this.#incoming.length, this.#outgoing.length));
  }

  /** The highest index that is on a majority of the voters, of both sets of them while they are two. */
  committed(): number {
    return Math.min(this.#committedOf(this.#incoming), this.#committedOf(this.#outgoing));
  }

  /** Whether the voters that were heard from lately could elect a leader. */
  quorumActive(): boolean {
    const heard = { get: (id: NodeId) => this.get(id)?.recentActive };
    return jointVoteResult(this.#configuration, heard) === 'VoteWon';
  }

  #committedOf(voters: readonly Progress[]): number {
    for (let i = 0; i < voters.length; i++) this.#acked[i] = voters[i]!.match;
    return committedIndex(this.#acked, voters.length);
  }

  #progressOf(ids: NodeSet): Progress[] {
    return ids.map((id) => {
      const progress = this.#progress.get(id);
      assert(progress !== undefined, `no progress for voter ${id}`);
      return progress;
    });
  }
}
