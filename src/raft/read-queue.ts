/**
 * ReadIndex requests (Raft dissertation, 6.4) that wait for a majority to confirm that we still lead, in order of arrival. A heartbeat carries
 * how many requests there have been so far; its answer confirms all of them up to there. So one round answers however many
 * requests, and a lost round is made good by the next heartbeat.
 */
import type { Message } from '#api-etcd/gen/raft.ts';
import { type JointVoters, jointCommittedIndex } from './joint.ts';
import type { NodeId } from './quorum.ts';

export interface WaitingRead {
  readonly request: Message;
  /** What was committed when the request came. */
  readonly index: number;
}

const nothing: readonly WaitingRead[] = Object.freeze([]);

export class ReadQueue {
  #waiting: WaitingRead[] = [];
  /** How many have been answered, in this term. */
  #confirmed = 0;
  /** How many each member has confirmed. */
  readonly #acked = new Map<NodeId, number>();

  get length(): number {
    return this.#waiting.length;
  }

  add(request: Message, index: number): void {
    this.#waiting.push({ request, index });
  }

  /** What the next heartbeat carries: the number of requests so far, 8 bytes, little-endian. Undefined when none waits. */
  heartbeatContext(): Uint8Array | undefined {
    if (this.#waiting.length === 0) return undefined;
    const context = Buffer.alloc(8);
    const position = this.#confirmed + this.#waiting.length;
    context.writeUInt32LE(position % 2 ** 32, 0);
    context.writeUInt32LE(Math.floor(position / 2 ** 32), 4);
    return context;
  }

  /** The same, without the detour. */
  confirmOurselves(id: NodeId): void {
    this.#acked.set(id, this.#confirmed + this.#waiting.length);
  }

  /** An answer to a heartbeat. Answers may overtake each other; what says nothing of ours is ignored. */
  acknowledge(from: NodeId, context: Uint8Array): void {
    if (context.length !== 8) return;
    const view = new DataView(context.buffer, context.byteOffset, 8);
    const position = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
    if (position > this.#confirmed + this.#waiting.length) return;
    if (position > (this.#acked.get(from) ?? 0)) this.#acked.set(from, position);
  }

  /** Takes out what a majority has confirmed, in order. */
  takeConfirmed(voters: JointVoters): readonly WaitingRead[] {
    const scratch = new Float64Array(Math.max(voters.incoming.length, voters.outgoing.length));
    const confirmed = jointCommittedIndex(voters, (id) => this.#acked.get(id), scratch);
    const count = confirmed - this.#confirmed;
    if (!(count > 0) || count === Infinity) return nothing;
    this.#confirmed = confirmed;
    return this.#waiting.splice(0, count);
  }
}
