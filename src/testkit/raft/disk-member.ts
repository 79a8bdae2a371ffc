/**
 * A raft member with a disk that can lose what was not synced, and a state machine whose state is a hash of everything applied so far. A crash
 * takes the member, its work that was not done, and perhaps writes that nobody waited for; a restart begins with what is on disk.
 */
import {
  ConfChange,
  ConfChangeV2,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  type Message,
  MessageType,
  type Snapshot,
} from '#api-etcd/gen/raft.ts';
import { MemoryStorage } from '#raft/memory-storage.ts';
import type { RaftOptions } from '#raft/options.ts';
import { RawNode } from '#raft/raw-node.ts';
import { crc32c } from '#std/crc32c.ts';
import { seededPrng } from '#std/prng.ts';
import type { SafetyOracle } from './safety-oracle.ts';

export type DiskMemberOptions = Omit<RaftOptions, 'id' | 'storage' | 'prng' | 'applied'> & { readonly seed: number };

/** Sends a snapshot of what is applied now: an older one may not know the member that is to get it. */
class DiskStorage extends MemoryStorage {
  readonly #newest: () => Snapshot;

  constructor(newest: () => Snapshot) {
    super();
    this.#newest = newest;
  }

  override snapshot(): Snapshot {
    return this.#newest();
  }

  /** What a restart begins with. */
  durableSnapshot(): Snapshot {
    return super.snapshot();
  }
}

/** Where every log begins, so that members can join by snapshot. */
const startIndex = 5;

export class DiskMember {
  readonly id: bigint;
  readonly #options: DiskMemberOptions;
  readonly #oracle: SafetyOracle;
  readonly #storage = new DiskStorage(() => this.#snapshotNow());
  /** Written, but nobody has waited for the disk. */
  #unsynced: HardState | undefined;
  #node: RawNode | undefined;
  #appendWork: Message[] = [];
  #applyWork: Message[] = [];
  /** The state machine, in memory: `#state` is what the entries up to `#applied` make. */
  #applied = 0;
  #state = 0;
  #confState: ConfState;
  #restarts = 0;
  #reads = 0;

  constructor(id: bigint, voters: readonly bigint[], options: DiskMemberOptions, oracle: SafetyOracle) {
    this.id = id;
    this.#options = options;
    this.#oracle = oracle;
    if (voters.includes(id)) {
      const confState = { voters, learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
      this.#storage.applySnapshot({ data: stateBytes(0), metadata: { confState, index: startIndex, term: 1 } });
    }
    this.#confState = this.#storage.initialState().confState;
    this.restart();
  }

  get isUp(): boolean {
    return this.#node !== undefined;
  }

  /** Fails while the member is down. */
  get node(): RawNode {
    if (this.#node === undefined) throw new Error(`${this.id} is down`);
    return this.#node;
  }

  restart(): void {
    if (this.#node !== undefined) return;
    const snapshot = this.#storage.durableSnapshot();
    this.#loadState(snapshot);
    this.#node = new RawNode({
      ...this.#options,
      id: this.id,
      storage: this.#storage,
      prng: seededPrng(this.#options.seed + Number(this.id) * 1000 + this.#restarts++),
      applied: snapshot.metadata.index,
    });
  }

  #loadState({ data, metadata }: Snapshot): void {
    this.#applied = metadata.index;
    this.#state = data === undefined || data.length === 0 ? 0 : new DataView(data.buffer, data.byteOffset).getUint32(0);
    this.#confState = metadata.confState;
    this.#oracle.loaded(this.id, this.#applied, this.#state);
  }

  /** `late`: what needed no sync has reached the disk all the same, and in lockstep everything of the last Ready has. */
  crash(late: boolean): void {
    if (this.#node === undefined) return;
    if (late && !this.#options.asyncStorageWrites && this.#node.hasReady()) {
      const { hardState, entries, snapshot } = this.#node.ready();
      this.#write(hardState, entries, snapshot);
    } else if (late) this.#flush();
    this.#unsynced = undefined;
    this.#node = undefined;
    this.#appendWork = [];
    this.#applyWork = [];
  }

  #flush(): void {
    if (this.#unsynced !== undefined) this.#storage.setHardState(this.#unsynced);
    this.#unsynced = undefined;
  }

  #write(hardState: HardState | undefined, entries: readonly Entry[], snapshot: Snapshot | undefined): void {
    this.#flush();
    if (hardState !== undefined) this.#storage.setHardState(hardState);
    if (snapshot !== undefined) {
      const error = this.#storage.applySnapshot(snapshot);
      if (error !== undefined) throw error;
      this.#loadState(snapshot);
    }
    this.#storage.append(entries);
  }

  /** Returns what is to be sent now. */
  handleReady(): Message[] {
    const { node } = this;
    const ready = node.ready();
    for (const { index, context } of ready.readStates) this.#oracle.readAnswered(this.id, index, context!);
    if (this.#options.asyncStorageWrites) {
      this.#appendWork.push(...ready.messages.filter(({ type }) => type === MessageType.MsgStorageAppend));
      this.#applyWork.push(...ready.messages.filter(({ type }) => type === MessageType.MsgStorageApply));
      return ready.messages.filter(
        ({ type }) => type !== MessageType.MsgStorageAppend && type !== MessageType.MsgStorageApply,
      );
    }
    if (ready.mustSync || ready.snapshot !== undefined) this.#write(ready.hardState, ready.entries, ready.snapshot);
    else this.#unsynced = ready.hardState ?? this.#unsynced;
    this.#apply(ready.committedEntries);
    node.advance();
    return [...ready.messages];
  }

  /** Does the oldest write that waits. Returns the responses. */
  doAppendWork(): readonly Message[] {
    const message = this.#appendWork.shift();
    if (message === undefined) return [];
    const { term, vote, commit, entries, snapshot, responses } = message;
    const hardState = term === 0 && vote === 0n && commit === 0 ? undefined : { term, vote, commit };
    if (responses.length === 0 && snapshot === undefined && entries.length === 0)
      this.#unsynced = hardState ?? this.#unsynced;
    else this.#write(hardState, entries, snapshot);
    return responses;
  }

  doApplyWork(): readonly Message[] {
    const message = this.#applyWork.shift();
    if (message === undefined) return [];
    this.#apply(message.entries);
    return message.responses;
  }

  #apply(entries: readonly Entry[]): void {
    for (const { type, index, data } of entries) {
      // A snapshot may have overtaken what was handed out before it.
      if (index <= this.#applied) continue;
      const bytes = data ?? new Uint8Array(0);
      if (type !== EntryType.EntryNormal) {
        const change = type === EntryType.EntryConfChange ? ConfChange.decode(bytes) : ConfChangeV2.decode(bytes);
        this.#confState = this.node.applyConfChange(change);
      }
      this.#state = crc32c(Buffer.concat([stateBytes(this.#state), bytes]));
      this.#applied = index;
      this.#oracle.applied(this.id, index, this.#state);
    }
  }

  /**
   * Notes a snapshot of what is applied and cuts the log somewhere before. A state on disk must not be ahead of the commit index on disk: a
   * member that restarts must never have applied what it does not know to be committed.
   */
  compact(rest: number): void {
    this.#flush();
    if (this.#storage.initialState().hardState.commit < this.#applied) return;
    const { metadata } = this.#storage.durableSnapshot();
    if (this.#applied > metadata.index)
      this.#storage.createSnapshot(this.#applied, this.#confState, stateBytes(this.#state));
    const first = this.#storage.firstIndex();
    const until = first + (rest % Math.max(1, this.#applied - first + 1));
    if (until <= this.#applied && until > first - 1 && this.#storage.lastIndex() >= until) this.#storage.compact(until);
  }

  read(): void {
    const context = Buffer.from(`${this.id}/${this.#restarts}/${this.#reads++}`);
    this.#oracle.readAsked(context);
    this.node.readIndex(context);
  }

  #snapshotNow(): Snapshot {
    const term = this.#storage.term(this.#applied);
    if (term === undefined) return this.#storage.durableSnapshot();
    return { data: stateBytes(this.#state), metadata: { confState: this.#confState, index: this.#applied, term } };
  }

  /** The transport knows how a snapshot to `id` went. */
  reportSnapshot(id: bigint, arrived: boolean): void {
    this.#node?.reportSnapshot(id, arrived);
  }
}

function stateBytes(state: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(state);
  return bytes;
}
