/**
 * One member in a trace: a RawNode with a storage in memory, and a state machine that appends what is applied to a text, with a snapshot after
 * every entry.
 */
import {
  ConfChange,
  ConfChangeV2,
  type Entry,
  EntryType,
  type HardState,
  type Message,
  type Snapshot,
} from '#api-etcd/gen/raft.ts';
import { MemoryStorage } from '#raft/memory-storage.ts';
import type { RaftOptions } from '#raft/options.ts';
import { RawNode } from '#raft/raw-node.ts';

/** The newest snapshot is the one after the last entry that was applied, whatever the log was compacted to. */
class TraceStorage extends MemoryStorage {
  history: Snapshot[];

  constructor(start: Snapshot) {
    super();
    this.history = [start];
  }

  override snapshot(): Snapshot {
    return this.history.at(-1)!;
  }
}

export class TraceMember {
  readonly storage: TraceStorage;
  readonly options: RaftOptions;
  node: RawNode;
  /** MsgStorageAppend and MsgStorageApply that wait for their threads. */
  appendWork: Message[] = [];
  applyWork: Message[] = [];

  constructor(options: Omit<RaftOptions, 'storage'>, start: Snapshot) {
    this.storage = new TraceStorage(start);
    if (start.metadata.index > 0) this.storage.applySnapshot(start);
    this.options = { ...options, storage: this.storage };
    this.node = new RawNode(this.options);
  }

  /** The state is as of where the log begins: everything after it is applied again. */
  restart(): void {
    this.appendWork = [];
    this.applyWork = [];
    const applied = this.storage.firstIndex() - 1;
    this.storage.history = this.storage.history.filter(({ metadata }) => metadata.index <= applied);
    this.node = new RawNode({ ...this.options, applied });
  }

  append(hardState: HardState | undefined, entries: readonly Entry[], snapshot: Snapshot | undefined): void {
    if (hardState !== undefined) this.storage.setHardState(hardState);
    if (snapshot === undefined) {
      this.storage.append(entries);
      return;
    }
    if (entries.length > 0) throw new Error("can't apply snapshot and entries at the same time");
    const error = this.storage.applySnapshot(snapshot);
    if (error !== undefined) throw error;
  }

  apply(entries: readonly Entry[]): void {
    for (const entry of entries) this.#apply(entry);
  }

  #apply({ type, index, term, data }: Entry): void {
    const before = this.storage.history.at(-1)!;
    let update = data ?? new Uint8Array(0);
    let { confState } = before.metadata;
    if (type !== EntryType.EntryNormal) {
      const change = type === EntryType.EntryConfChange ? ConfChange.decode(update) : ConfChangeV2.decode(update);
      confState = this.node.applyConfChange(change);
      update = change.context ?? new Uint8Array(0);
    }
    const state = Buffer.concat([before.data ?? new Uint8Array(0), update]);
    this.storage.history.push({ data: state, metadata: { confState, index, term } });
  }
}
