/**
 * `bench/raft.ts [--seconds=N]`: proposals a second through the raft core alone, in one thread: members in memory, messages handed over as they
 * are, storage that only remembers. What a server could do at most if everything else were free.
 */
import { type Entry, EntryType, type Message, MessageType } from '#api-etcd/gen/raft.ts';
import { MemoryStorage } from '#raft/memory-storage.ts';
import { RawNode } from '#raft/raw-node.ts';
import { seededPrng } from '#std/prng.ts';

const seconds = Number(/--seconds=(\d+)/.exec(process.argv.join(' '))?.[1] ?? 2);
const data = Buffer.alloc(256, 'v');
/** How much of the log stays. */
const keptEntries = 5_000;

class Member {
  readonly storage = new MemoryStorage();
  readonly node: RawNode;
  readonly #inbox: Message[] = [];
  applied = 0;

  constructor(id: number, members: number) {
    const voters = Array.from({ length: members }, (_, i) => BigInt(i + 1));
    const confState = { voters, learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    this.storage.applySnapshot({ data: undefined, metadata: { confState, index: 1, term: 1 } });
    this.node = new RawNode({
      id: BigInt(id),
      electionTicks: 10,
      heartbeatTicks: 1,
      storage: this.storage,
      prng: seededPrng(id),
      applied: 1,
      asyncStorageWrites: true,
      messageBytesMax: 1 << 20,
      inflightMessagesMax: 512,
      checkQuorum: true,
      preVote: true,
    });
  }

  receive(message: Message): void {
    this.#inbox.push(message);
  }

  /** Handles what has come and does what there is to do. False when there was nothing. */
  run(members: readonly Member[]): boolean {
    const count = this.#inbox.length;
    for (let i = 0; i < count; i++) this.node.step(this.#inbox[i]!);
    this.#inbox.splice(0, count);
    if (!this.node.hasReady()) return count > 0;
    const { messages } = this.node.ready();
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i]!;
      if (message.type === MessageType.MsgStorageAppend) this.#append(message, members);
      else if (message.type === MessageType.MsgStorageApply) this.#apply(message);
      else members[Number(message.to) - 1]!.receive(message);
    }
    return true;
  }

  #append({ term, vote, commit, entries, responses }: Message, members: readonly Member[]): void {
    if (term !== 0) this.storage.setHardState({ term, vote, commit });
    this.storage.append(entries);
    for (const response of responses) members[Number(response.to) - 1]!.receive(response);
  }

  #apply({ entries, responses }: Message): void {
    this.applied += countNormal(entries);
    const last = entries[entries.length - 1]!.index;
    if (last - this.storage.firstIndex() > 2 * keptEntries) this.storage.compact(last - keptEntries);
    for (const response of responses) this.receive(response);
  }
}

function countNormal(entries: readonly Entry[]): number {
  let count = 0;
  for (const { type, data } of entries) if (type === EntryType.EntryNormal && data !== undefined) count++;
  return count;
}

function settle(members: readonly Member[]): void {
  for (let busy = true; busy; ) {
    busy = false;
    for (const member of members) if (member.run(members)) busy = true;
  }
}

/** Proposals a second when `batch` of them come between two turns, each by itself or all in one message. */
function measure(size: number, batch: number, together: boolean): number {
  const members = Array.from({ length: size }, (_, i) => new Member(i + 1, size));
  const leader = members[0]!;
  leader.node.campaign();
  settle(members);
  const datas = Array.from({ length: batch }, () => data);
  const run = (ms: number): number => {
    const before = leader.applied;
    const start = performance.now();
    let now = start;
    while (now - start < ms) {
      for (let turn = 0; turn < 50; turn++) {
        if (together) leader.node.proposeBatch(datas);
        else for (let i = 0; i < batch; i++) leader.node.propose(data);
        settle(members);
      }
      now = performance.now();
    }
    return (leader.applied - before) / ((now - start) / 1000);
  };
  run(500);
  return run(seconds * 1000);
}

console.log('members  proposals a turn  proposals a second');
for (const size of [1, 3, 5])
  for (const [batch, together] of [
    [1, false],
    [16, false],
    [64, false],
    [64, true],
    [512, true],
  ] as const) {
    const rate = measure(size, batch, together);
    const turn = `${batch}${together ? ', one message' : ''}`;
    console.log(`${String(size).padEnd(7)}  ${turn.padEnd(16)}  ${Math.round(rate).toLocaleString('en')}`);
  }
