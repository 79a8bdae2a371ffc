/**
 * A group of raft members in memory that prints everything it does, step by step, and does nothing by itself: whose messages are delivered,
 * whose `Ready` is handled, and in which order, is up to the trace.
 */
import { type Message, MessageType, Snapshot } from '#api-etcd/gen/raft.ts';
import { isLocalTarget } from '#raft/message.ts';
import type { RaftOptions } from '#raft/options.ts';
import { seededPrng } from '#std/prng.ts';
import type { TraceArgument, TraceStep } from '../trace.ts';
import { describeEntries, describeMessage, describeReady } from './describe.ts';
import { TraceMember } from './trace-member.ts';
import { TraceOutput } from './trace-output.ts';

export class InteractionGroup {
  readonly members: TraceMember[] = [];
  /** Between members, and from a member's threads to it. */
  messages: Message[] = [];
  readonly output = new TraceOutput();

  member(id: bigint): TraceMember {
    const member = this.members[Number(id) - 1];
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  }

  first({ arguments: words }: TraceStep): TraceMember {
    return this.member(BigInt(words[0]!.key));
  }

  /** The members that the command names, in its order. */
  named({ arguments: words }: TraceStep): TraceMember[] {
    return words.filter(({ values }) => values.length === 0).map(({ key }) => this.member(BigInt(key)));
  }

  /** For one member its output alone, for several each under a line that says whose it is. */
  each(step: TraceStep, what: string, work: (member: TraceMember) => void): void {
    const members = this.named(step);
    for (const member of members)
      if (members.length === 1) work(member);
      else this.#titled(member, what, () => work(member));
  }

  #titled({ node }: TraceMember, what: string, work: () => void): void {
    this.output.write(`> ${node.id} ${what}\n`);
    this.output.indented(work);
  }

  addMembers(count: number, words: readonly TraceArgument[]): void {
    const ids = (key: string) => words.find((word) => word.key === key)?.values.map(BigInt) ?? [];
    const flag = (key: string) => argument(words, key) === 'true';
    const number = (key: string) => {
      const value = argument(words, key);
      return value === undefined ? undefined : Number(value);
    };
    const content = argument(words, 'content');
    const index = number('index') ?? 0;
    const voters = ids('voters');
    const learners = ids('learners');
    const isEmpty = index === 0 && voters.length === 0 && learners.length === 0 && content === undefined;
    if (!isEmpty && index <= 1) throw new Error('index must be specified as > 1 due to bootstrap');
    const start = Snapshot.create({
      data: content === undefined ? undefined : Buffer.from(content),
      metadata: {
        confState: { voters, learners, votersOutgoing: [], learnersNext: [], autoLeave: false },
        index,
        term: isEmpty ? 0 : 1,
      },
    });
    for (let i = 0; i < count; i++) {
      const id = BigInt(this.members.length + 1);
      const options: Omit<RaftOptions, 'storage'> = {
        id,
        electionTicks: 3,
        heartbeatTicks: 1,
        prng: seededPrng(Number(id)),
        logger: this.output.logger,
        applied: index,
        asyncStorageWrites: flag('async-storage-writes'),
        messageBytesMax: number('max-size-per-msg') ?? Infinity,
        committedBytesMax: number('max-committed-size-per-ready') ?? Infinity,
        inflightMessagesMax: number('inflight') ?? 2 ** 31 - 1,
        inflightBytesMax: number('inflight-bytes') ?? Infinity,
        uncommittedBytesMax: number('max-uncommitted-size') ?? Infinity,
        disableProposalForwarding: flag('disable-proposal-forwarding'),
        checkQuorum: flag('checkquorum'),
        preVote: flag('prevote'),
        readOnly: argument(words, 'read-only') === 'lease-based' ? 'lease-based' : 'safe',
        disableConfChangeValidation: flag('disable-conf-change-validation'),
        stepDownOnRemoval: flag('step-down-on-removal'),
      };
      this.members.push(new TraceMember(options, start));
    }
  }

  /** The member crashes and starts again with what is on its disk. Everything on its way to and from it is lost. */
  restart(member: TraceMember): void {
    const { id } = member.node;
    this.messages = this.messages.filter(({ from, to }) => from !== id && to !== id);
    member.restart();
  }

  printLog({ storage }: TraceMember): void {
    const first = storage.firstIndex();
    const last = storage.lastIndex();
    if (last < first) this.output.write(`log is empty: first index=${first}, last index=${last}`);
    else this.output.write(describeEntries(storage.entries(first, last + 1, Infinity)!));
  }

  /** Delivers, or drops, what is on its way to `id`; of one type, if that is given. Returns how many messages that were. */
  deliver(id: bigint, type: MessageType | undefined, drop: boolean): number {
    const [taken, left] = this.#split(id, type, drop);
    this.messages = left;
    for (const message of taken) {
      this.output.write(`${drop ? 'dropped: ' : ''}${describeMessage(message)}\n`);
      if (drop) continue;
      const error = this.member(id).node.step(message);
      if (error !== undefined) this.output.write(`${error.message}\n`);
    }
    return taken.length;
  }

  /** What a member says to itself cannot be lost. */
  #split(id: bigint, type: MessageType | undefined, drop: boolean): [taken: Message[], left: Message[]] {
    const taken: Message[] = [];
    const left: Message[] = [];
    for (const message of this.messages) {
      const local = message.from === message.to || isLocalTarget(message.from);
      const take = message.to === id && (type === undefined || message.type === type) && !(drop && local);
      (take ? taken : left).push(message);
    }
    return [taken, left];
  }

  processReady(member: TraceMember): void {
    const { node, options, appendWork, applyWork } = member;
    const ready = node.ready();
    this.output.write(describeReady(ready));
    if (!options.asyncStorageWrites) {
      member.append(ready.hardState, ready.entries, ready.snapshot);
      member.apply(ready.committedEntries);
    }
    for (const message of ready.messages)
      if (message.type === MessageType.MsgStorageAppend) appendWork.push(message);
      else if (message.type === MessageType.MsgStorageApply) applyWork.push(message);
      else this.messages.push(message);
    if (!options.asyncStorageWrites) node.advance();
  }

  /** Does the oldest piece of work of one of a member's two threads. */
  processThread(member: TraceMember, thread: 'append' | 'apply'): void {
    const message = (thread === 'append' ? member.appendWork : member.applyWork).shift();
    if (message === undefined) {
      this.output.write(`no ${thread} work to perform`);
      return;
    }
    const { term, vote, commit, entries, snapshot, responses } = message;
    this.output.write(`Processing:\n${describeMessage({ ...message, responses: [] })}\n`);
    if (thread === 'append') {
      const hardState = term === 0 && vote === 0n && commit === 0 ? undefined : { term, vote, commit };
      member.append(hardState, entries, snapshot);
    } else member.apply(entries);
    this.output.write(`Responses:\n${responses.map((response) => `${describeMessage(response)}\n`).join('')}`);
    this.messages.push(...responses);
  }

  /** Everything that is to be done is done, until nothing is left; for all members when none is named. */
  stabilize(named: readonly TraceMember[]): void {
    const members = named.length > 0 ? named : this.members;
    for (let done = false; !done; ) {
      done = true;
      const work = (member: TraceMember, what: string, run: () => void) => {
        done = false;
        this.#titled(member, what, run);
      };
      for (const member of members)
        if (member.node.hasReady()) work(member, 'handling Ready', () => this.processReady(member));
      for (const member of members) {
        const { id } = member.node;
        if (this.#split(id, undefined, false)[0].length > 0)
          work(member, 'receiving messages', () => this.deliver(id, undefined, false));
      }
      for (const thread of ['append', 'apply'] as const)
        for (const member of members) {
          const waiting = thread === 'append' ? member.appendWork : member.applyWork;
          if (waiting.length > 0)
            work(member, `processing ${thread} thread`, () => {
              while (waiting.length > 0) this.processThread(member, thread);
            });
        }
    }
  }
}

/** The first value of `key=...`. */
export function argument(words: readonly TraceArgument[], key: string): string | undefined {
  return words.find((word) => word.key === key)?.values[0];
}
