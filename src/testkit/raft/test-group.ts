/**
 * A raft group for tests of behaviour: members in lockstep with storage in memory, a network that delivers at once and in order, except where it
 * is cut or told to lose a type of message. A test moves it by hand, or lets it run until nothing is left to do.
 */
import { ConfChange, ConfChangeV2, type Entry, EntryType, type Message, type MessageType } from '#api-etcd/gen/raft.ts';
import { MemoryStorage } from '#raft/memory-storage.ts';
import { type Draft, draft } from '#raft/message.ts';
import type { RaftOptions } from '#raft/options.ts';
import type { ReadState } from '#raft/raft.ts';
import { RawNode } from '#raft/raw-node.ts';
import { seededPrng } from '#std/prng.ts';

export interface TestGroupOptions {
  readonly voters?: readonly number[];
  readonly learners?: readonly number[];
  /** The terms of the entries in the log of each member, by id: `{ 1: [1, 1, 2] }`. */
  readonly logs?: Readonly<Record<number, readonly number[]>>;
  /** The term and vote on disk, and the commit index. */
  readonly hardStates?: Readonly<Record<number, { term?: number; vote?: number; commit?: number }>>;
  readonly raft?: Partial<RaftOptions>;
  /** Options of one member, by id. */
  readonly each?: Readonly<Record<number, Partial<RaftOptions>>>;
}

export class TestMember {
  readonly storage = new MemoryStorage();
  readonly node: RawNode;
  readonly applied: Entry[] = [];
  readonly readStates: ReadState[] = [];

  constructor(id: number, options: TestGroupOptions) {
    const { voters = [], learners = [] } = options;
    const confState = { voters: bigints(voters), learners: bigints(learners), ...notJoint };
    this.storage.applySnapshot({ data: undefined, metadata: { confState, index: 0, term: 0 } });
    const terms = options.logs?.[id] ?? [];
    this.storage.append(terms.map((term, i) => entry(term, i + 1)));
    const { term = terms.at(-1) ?? 0, vote = 0, commit = 0 } = options.hardStates?.[id] ?? {};
    this.storage.setHardState({ term, vote: BigInt(vote), commit });
    this.node = new RawNode({
      id: BigInt(id),
      storage: this.storage,
      prng: seededPrng(id),
      electionTicks: 10,
      heartbeatTicks: 1,
      messageBytesMax: Infinity,
      inflightMessagesMax: 256,
      ...options.raft,
      ...options.each?.[id],
    });
  }

  /** Does everything that the member has to do, and returns what it sends. */
  handle(): Message[] {
    const sent: Message[] = [];
    while (this.node.hasReady()) {
      const { hardState, snapshot, entries, committedEntries, messages, readStates } = this.node.ready();
      if (hardState !== undefined) this.storage.setHardState(hardState);
      if (snapshot !== undefined) this.storage.applySnapshot(snapshot);
      this.storage.append(entries);
      for (const each of committedEntries) this.#apply(each);
      this.readStates.push(...readStates);
      sent.push(...messages);
      this.node.advance();
    }
    return sent;
  }

  #apply(applied: Entry): void {
    const bytes = applied.data ?? new Uint8Array(0);
    if (applied.type === EntryType.EntryConfChange) this.node.applyConfChange(ConfChange.decode(bytes));
    if (applied.type === EntryType.EntryConfChangeV2) this.node.applyConfChange(ConfChangeV2.decode(bytes));
    this.applied.push(applied);
  }

  /** Takes a message and returns what the member sends thereupon. */
  answer(message: Message): Message[] {
    this.node.step(message);
    return this.handle();
  }

  /** Terms of the log, from the first entry on. */
  get logTerms(): number[] {
    const { log } = this.node.raft;
    return (log.entries(log.firstIndex(), Infinity) ?? []).map(({ term }) => term);
  }

  /** What has been applied, without the empty entries that begin terms and those that change membership. */
  get appliedTexts(): string[] {
    return this.applied
      .filter(({ type, data }) => type === EntryType.EntryNormal && data !== undefined)
      .map(({ data }) => Buffer.from(data!).toString());
  }
}

const notJoint = { votersOutgoing: [], learnersNext: [], autoLeave: false };

function bigints(ids: readonly number[]): bigint[] {
  return ids.map(BigInt);
}

/** An entry that says where it stands. */
export function entry(
  term: number,
  index: number,
  data: Uint8Array | undefined = Buffer.from(`${term}/${index}`),
): Entry {
  return { type: EntryType.EntryNormal, term, index, data };
}

/** A message between members with small ids. */
export function message(type: MessageType, from: number, to: number, fields: Partial<Draft> = {}): Message {
  return Object.assign(draft(type, BigInt(to)), { from: BigInt(from) }, fields);
}

export class TestGroup {
  readonly members: readonly TestMember[];
  /** Links that carry nothing. */
  readonly #cut = new Set<string>();
  /** Types that are lost everywhere. */
  readonly lost = new Set<MessageType>();
  #network: Message[] = [];

  constructor(count: number, options: TestGroupOptions = {}) {
    const voters = options.voters ?? Array.from({ length: count }, (_, i) => i + 1);
    this.members = Array.from({ length: count }, (_, i) => new TestMember(i + 1, { ...options, voters }));
  }

  member(id: number): TestMember {
    return this.members[id - 1]!;
  }

  node(id: number): RawNode {
    return this.member(id).node;
  }

  /** In both directions. */
  cut(a: number, b: number): void {
    this.#cut.add(`${a}>${b}`).add(`${b}>${a}`);
  }

  isolate(id: number): void {
    for (let other = 1; other <= this.members.length; other++) if (other !== id) this.cut(id, other);
  }

  heal(): void {
    this.#cut.clear();
    this.lost.clear();
  }

  /** Delivers and does everything, until nothing is left. */
  run(): void {
    for (let busy = true; busy; ) {
      busy = false;
      for (const member of this.members) {
        const sent = member.handle();
        if (sent.length > 0) busy = true;
        this.#network.push(...sent);
      }
      const messages = this.#network;
      this.#network = [];
      for (const each of messages) this.#deliver(each);
    }
  }

  #deliver(each: Message): void {
    if (this.lost.has(each.type) || this.#cut.has(`${each.from}>${each.to}`)) return;
    this.members[Number(each.to) - 1]?.node.step(each);
  }

  campaign(id: number): void {
    this.node(id).campaign();
    this.run();
  }

  /** Ticks one member, everything running in between. */
  tick(id: number, ticks: number): void {
    for (let i = 0; i < ticks; i++) {
      this.node(id).tick();
      this.run();
    }
  }

  propose(id: number, text: string): void {
    this.node(id).propose(Buffer.from(text));
    this.run();
  }

  /** Who leads in the newest term, if anybody: 0 for nobody. */
  get leader(): number {
    const leaders = this.members.filter(({ node }) => node.state === 'StateLeader').map(({ node }) => node);
    leaders.sort((a, b) => b.term - a.term);
    return Number(leaders[0]?.id ?? 0n);
  }
}
