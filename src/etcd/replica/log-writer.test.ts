/** The order on disk: what says that entries are committed never comes before them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Entry, EntryType, HardState, Snapshot as RaftSnapshot, SnapshotMetadata } from '#api-etcd/gen/raft.ts';
import { Metadata } from '#api-etcd/gen/server_metadata.ts';
import { Snapshot } from '#api-etcd/gen/wal.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { MemoryDisk } from '#storage/memory-disk.ts';
import { Wal } from '#storage/wal/wal.ts';
import { LogWriter } from './log-writer.ts';

const folder = 'member/wal';

function entries(first: number, last: number, bytes = 8): Entry[] {
  return Array.from({ length: last - first + 1 }, (_, i) => ({
    type: EntryType.EntryNormal,
    term: 1,
    index: first + i,
    data: Buffer.alloc(bytes),
  }));
}

/** Bytes that share a sync with nothing else. */
const tooMuch = 9 << 20;

const committed = (commit: number) => HardState.create({ term: 1, vote: 1n, commit });

/** A disk, and for every sync what a crash right after it would leave. */
class WatchedDisk extends MemoryDisk {
  readonly crashes: MemoryDisk[] = [];

  override async open(path: string): ReturnType<MemoryDisk['open']> {
    const file = await super.open(path);
    const sync = file.sync.bind(file);
    file.sync = async () => {
      await sync();
      this.crashes.push(this.afterCrash());
    };
    return file;
  }
}

async function start(disk: MemoryDisk, install = async () => {}): Promise<LogWriter> {
  const wal = await Wal.create(disk, folder, Metadata.create(), 1 << 20);
  return new LogWriter(
    {
      wal,
      clock: new VirtualClock(),
      install,
      onSynced: () => {},
      onFailed: (error) => {
        throw error;
      },
      bytes: 0,
    },
    committed(0),
  );
}

/** Opens what every crash would have left. */
async function checkEveryCrash(disk: WatchedDisk): Promise<void> {
  assert.ok(disk.crashes.length > 1);
  for (const left of disk.crashes) {
    if (!(await Wal.exists(left, folder))) continue;
    const { content, wal } = await Wal.open(left, folder);
    const last = content.entries.at(-1)?.index ?? 0;
    assert.ok(
      content.hardState.commit <= last,
      `committed to ${content.hardState.commit}, but the log ends at ${last}`,
    );
    for (const { index } of content.snapshots)
      assert.ok(index <= content.hardState.commit, 'a checkpoint of what is committed');
    await wal[Symbol.asyncDispose]();
  }
}

test('a commit index that others have agreed on waits for our own copy of the entries', async () => {
  const disk = new WatchedDisk();
  const writer = await start(disk);
  const write = (list: Entry[], hardState?: HardState) =>
    writer.write({ entries: list, hardState, snapshot: undefined, done: () => {} });
  // More than shares a sync, and the news that all of it is committed behind it.
  write(entries(1, 1, tooMuch));
  write(entries(2, 2, tooMuch));
  write([], committed(2));
  await writer.flushed();
  await writer[Symbol.asyncDispose]();
  await checkEveryCrash(disk);
});

test('a checkpoint says that what it holds is committed, and nothing more', async () => {
  const disk = new WatchedDisk();
  const writer = await start(disk);
  const write = (list: Entry[], hardState?: HardState) =>
    writer.write({ entries: list, hardState, snapshot: undefined, done: () => {} });
  write(entries(1, 4), committed(0));
  await writer.flushed();
  // The state as of entry 3 is saved while entries are on their way to the disk that are committed already.
  write(entries(5, 5, tooMuch));
  write(entries(6, 8));
  write([], committed(8));
  await writer.checkpointSaved(Snapshot.create({ index: 3, term: 1 }));
  await writer[Symbol.asyncDispose]();
  await checkEveryCrash(disk);
});

test('a state from the leader that has to wait for a checkpoint does not keep it from being written down', async () => {
  const disk = new WatchedDisk();
  const place = (index: number) => Snapshot.create({ index, term: 1 });
  const order: string[] = [];
  const writer: LogWriter = await start(disk, async () => {
    // The checkpoint was being made when the state came; it is ready a while later.
    await new Promise((resolve) => setImmediate(resolve));
    await writer.checkpointSaved(place(3));
    order.push('checkpoint');
  });
  writer.write({ entries: entries(1, 4), hardState: committed(4), snapshot: undefined, done: () => {} });
  await writer.flushed();
  const snapshot = RaftSnapshot.create({ metadata: SnapshotMetadata.create({ index: 10, term: 1 }) });
  writer.write({ entries: [], hardState: committed(10), snapshot, done: () => order.push('state') });
  await writer.flushed();
  assert.deepEqual(order, ['checkpoint', 'state']);
  await writer[Symbol.asyncDispose]();
  const { content, wal } = await Wal.open(disk, folder);
  assert.deepEqual(
    content.snapshots.map(({ index }) => index),
    [0, 3, 10],
  );
  await wal[Symbol.asyncDispose]();
});
