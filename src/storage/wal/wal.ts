/**
 * etcd's write-ahead log on a disk: files of 64 MB named by sequence and first index, each beginning with the checksum so far, the
 * owner and (after the first) the hard state. What was appended is on disk. Upstream reads what this writes, and the
 * other way round.
 */
import { Entry, HardState } from '#api-etcd/gen/raft.ts';
import { Metadata } from '#api-etcd/gen/server_metadata.ts';
import { Snapshot } from '#api-etcd/gen/wal.ts';
import type { Disk, DiskFile } from '#host/disk.ts';
import { frameEnd, RecordReader, RecordType, RecordWriter } from './record.ts';

/** A file is cut when it has grown past this: upstream's figure. */
export const walFileBytesDefault = 64_000_000;
/**
 * How far ahead of the last record the file has been filled with zeros: overwriting blocks that are there already makes a sync
 * cheaper than one that has to find new ones.
 */
const fillAheadBytes = 1 << 20;
/** Bytes read at a time. A damaged frame may ask for anything. */
const readStepBytes = 4 << 20;
const readStepBytesMax = 64 << 20;

export class WalError extends Error {
  override readonly name = 'WalError';
}

export interface WalContent {
  readonly metadata: Metadata;
  /** Entries as they count: a later one replaces those from its index on. */
  readonly entries: readonly Entry[];
  readonly hardState: HardState;
  /** Places of raft snapshots, newest last. */
  readonly snapshots: readonly Snapshot[];
}

interface WalFileName {
  readonly name: string;
  readonly sequence: number;
  readonly firstIndex: number;
}

export class Wal implements AsyncDisposable {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #metadata: Metadata;
  readonly #fileBytes: number;
  #writer: RecordWriter;
  #file: DiskFile;
  #sequence: number;
  /** Where the next record goes. */
  #at: number;
  #filledTo: number;
  #hardState: HardState;

  private constructor(options: {
    readonly disk: Disk;
    readonly folder: string;
    readonly metadata: Metadata;
    readonly fileBytes: number;
    readonly file: DiskFile;
    readonly crc: number;
    readonly sequence: number;
    readonly at: number;
    readonly hardState: HardState;
  }) {
    this.#disk = options.disk;
    this.#folder = options.folder;
    this.#metadata = options.metadata;
    this.#fileBytes = options.fileBytes;
    this.#file = options.file;
    this.#writer = new RecordWriter(options.crc);
    this.#sequence = options.sequence;
    this.#at = options.at;
    this.#filledTo = options.at;
    this.#hardState = options.hardState;
  }

  static async exists(disk: Disk, folder: string): Promise<boolean> {
    return (await fileNames(disk, folder)).length > 0;
  }

  /** Makes the log of a new member. Its first file appears whole or not at all. */
  static async create(disk: Disk, folder: string, metadata: Metadata, fileBytes = walFileBytesDefault): Promise<Wal> {
    await disk.makeFolder(folder);
    const hardState = HardState.create({ term: 0, vote: 0n, commit: 0 });
    const first = { sequence: 0, firstIndex: 0, crc: 0, hardState: undefined };
    const start = await startFile({ disk, folder, metadata, fileBytes, ...first });
    return new Wal({ disk, folder, metadata, fileBytes, hardState, ...start, sequence: 0 });
  }

  /**
   * Opens a log to go on with it. A last write that a crash has cut short is taken away (the file as it was stays beside it, as
   * `.broken`).
   * @throws WalError for anything else that is not as it was written
   */
  static async open(
    disk: Disk,
    folder: string,
    fileBytes = walFileBytesDefault,
  ): Promise<{ readonly wal: Wal; readonly content: WalContent }> {
    const files = await fileNames(disk, folder);
    const last = files.at(-1);
    if (last === undefined) throw new WalError(`no log in ${folder}`);
    const collected = new Collected();
    let crc = 0;
    let at = 0;
    for (const file of files) {
      const path = `${folder}/${file.name}`;
      const bytes = await readRecords(disk, path);
      const reader = new RecordReader(bytes, file === last, crc);
      const end = readAll(reader, path, collected);
      if (end === 'torn') await copyAside(disk, path);
      crc = reader.crc;
      at = reader.offset;
    }
    const content = collected.content(folder);
    const file = await disk.open(`${folder}/${last.name}`, { durable: true });
    // What a crash has left behind the last record must not be taken for records later.
    await file.truncate(at);
    await file.truncate(Math.max(fileBytes, at));
    await file.sync();
    const { metadata, hardState } = content;
    return {
      wal: new Wal({ disk, folder, metadata, fileBytes, file, crc, sequence: last.sequence, at, hardState }),
      content,
    };
  }

  /** Writes entries and, when given, the hard state after them. On disk when it resolves. One call at a time. */
  async append(entries: readonly Entry[], hardState?: HardState): Promise<void> {
    const records = entries.map((entry) => ({ type: RecordType.entry, data: Entry.encode(entry) }));
    await this.#write([
      ...records,
      ...(hardState === undefined ? [] : [{ type: RecordType.state, data: HardState.encode(hardState) }]),
    ]);
    if (hardState !== undefined) this.#hardState = hardState;
    const lastIndex = entries.at(-1)?.index;
    if (this.#at > this.#fileBytes && lastIndex !== undefined) await this.#cut(lastIndex + 1);
  }

  async appendSnapshot(snapshot: Snapshot): Promise<void> {
    await this.#write([{ type: RecordType.snapshot, data: Snapshot.encode(snapshot) }]);
  }

  /** Removes files all of whose entries come before `index`. */
  async release(index: number): Promise<void> {
    const files = await fileNames(this.#disk, this.#folder);
    const keepFrom = files.findLastIndex(({ firstIndex }) => firstIndex <= index);
    for (const { name } of files.slice(0, Math.max(keepFrom, 0))) await this.#disk.remove(`${this.#folder}/${name}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }

  async #write(records: readonly { readonly type: RecordType; readonly data?: Uint8Array }[]): Promise<void> {
    const bytes = this.#writer.encode(records);
    const end = this.#at + bytes.length;
    if (end > this.#filledTo) {
      // One write that also lays down zeros for those to come.
      const filledTo = Math.max(end, Math.min(end + fillAheadBytes, this.#fileBytes));
      const filled = Buffer.alloc(filledTo - this.#at);
      bytes.copy(filled);
      await this.#file.write(filled, this.#at);
      this.#filledTo = filledTo;
    } else await this.#file.write(bytes, this.#at);
    this.#at = end;
  }

  /** Goes on in a new file. */
  async #cut(firstIndex: number): Promise<void> {
    await this.#file.truncate(this.#at);
    await this.#file.sync();
    const sequence = this.#sequence + 1;
    const start = await startFile({
      disk: this.#disk,
      folder: this.#folder,
      metadata: this.#metadata,
      fileBytes: this.#fileBytes,
      sequence,
      firstIndex,
      crc: this.#writer.crc,
      hardState: this.#hardState,
    });
    await this.#file[Symbol.asyncDispose]();
    this.#file = start.file;
    this.#writer = new RecordWriter(start.crc);
    this.#sequence = sequence;
    this.#at = start.at;
    this.#filledTo = start.at;
  }
}

async function startFile(options: {
  readonly disk: Disk;
  readonly folder: string;
  readonly metadata: Metadata;
  readonly fileBytes: number;
  readonly sequence: number;
  readonly firstIndex: number;
  readonly crc: number;
  /** Undefined in the first file, which begins with the empty snapshot instead. */
  readonly hardState: HardState | undefined;
}): Promise<{ readonly file: DiskFile; readonly crc: number; readonly at: number }> {
  const { disk, folder, metadata, fileBytes, sequence, firstIndex, hardState } = options;
  const writer = new RecordWriter(options.crc);
  const bytes = writer.encode([
    { type: RecordType.crc },
    { type: RecordType.metadata, data: Metadata.encode(metadata) },
    hardState === undefined
      ? { type: RecordType.snapshot, data: Snapshot.encode(Snapshot.create({ index: 0, term: 0 })) }
      : { type: RecordType.state, data: HardState.encode(hardState) },
  ]);
  const path = `${folder}/${hex(sequence)}-${hex(firstIndex)}.wal`;
  const fresh = `${path}.tmp`;
  await disk.remove(fresh);
  const file = await disk.open(fresh, { durable: true });
  await file.write(bytes, 0);
  await file.truncate(fileBytes);
  await file.sync();
  await disk.rename(fresh, path);
  await disk.syncFolder(folder);
  return { file, crc: writer.crc, at: bytes.length };
}

class Collected {
  metadata: Metadata | undefined;
  readonly entries: Entry[] = [];
  hardState: HardState = HardState.create({ term: 0, vote: 0n, commit: 0 });
  readonly snapshots: Snapshot[] = [];

  take(type: number, data: Uint8Array): void {
    switch (type) {
      case RecordType.metadata:
        this.metadata = Metadata.decode(data);
        return;
      case RecordType.entry: {
        const entry = Entry.decode(data);
        const first = this.entries[0]?.index ?? entry.index;
        if (entry.index > first + this.entries.length) throw new WalError(`an entry before ${entry.index} is missing`);
        // What another leader has overwritten.
        this.entries.length = Math.max(0, entry.index - first);
        this.entries.push(entry);
        return;
      }
      case RecordType.state:
        this.hardState = HardState.decode(data);
        return;
      case RecordType.snapshot: {
        const snapshot = Snapshot.decode(data);
        this.snapshots.push(snapshot);
        // A state that came from the leader: the log goes on after it, whatever it had before.
        const last = this.entries.at(-1)?.index;
        if (last !== undefined && snapshot.index > last) this.entries.length = 0;
        return;
      }
    }
  }

  content(folder: string): WalContent {
    const { metadata, entries, hardState, snapshots } = this;
    if (metadata === undefined) throw new WalError(`the log in ${folder} does not say whose it is`);
    return { metadata, entries, hardState, snapshots };
  }
}

function readAll(reader: RecordReader, path: string, collected: Collected): 'end' | 'torn' {
  for (;;) {
    const step = reader.next();
    switch (step.kind) {
      case 'record':
        collected.take(step.record.type, step.record.data ?? new Uint8Array(0));
        break;
      case 'end':
      case 'torn':
        return step.kind;
      case 'corrupt':
        throw new WalError(`${path} is damaged at ${reader.offset}: ${step.reason}`);
    }
  }
}

/**
 * The bytes of a file as far as records go: not the space after them. Frames are followed rather than zeros looked for, because
 * a value may be all zeros.
 */
async function readRecords(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path);
  try {
    let bytes = await file.read(0, readStepBytes);
    let whole = bytes.length < readStepBytes;
    for (let at = 0; ; ) {
      const next = at + 8 <= bytes.length ? frameEnd(bytes, at) : at + 8;
      if (next === undefined) return bytes;
      if (next <= bytes.length) at = next;
      else if (whole) return bytes;
      else {
        const wanted = Math.max(readStepBytes, bytes.length, Math.min(next - bytes.length, readStepBytesMax));
        const more = await file.read(bytes.length, wanted);
        whole = more.length < wanted;
        bytes = Buffer.concat([bytes, more]);
      }
    }
  } finally {
    await file[Symbol.asyncDispose]();
  }
}

async function copyAside(disk: Disk, path: string): Promise<void> {
  const bytes = await disk.read(path);
  if (bytes === undefined) throw new WalError(`${path} is gone`);
  const file = await disk.open(`${path}.broken`);
  try {
    await file.truncate(0);
    // The zeros that the file was made with stay a hole: on a disk that was full, the copy must not want room for all of it.
    let end = bytes.length;
    while (end > 0 && bytes[end - 1] === 0) end--;
    await file.write(bytes.subarray(0, end), 0);
    await file.truncate(bytes.length);
    await file.sync();
  } finally {
    await file[Symbol.asyncDispose]();
  }
}

async function fileNames(disk: Disk, folder: string): Promise<WalFileName[]> {
  const files: WalFileName[] = [];
  for (const name of await disk.list(folder)) {
    const match = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/.exec(name);
    if (match !== null)
      files.push({ name, sequence: Number.parseInt(match[1]!, 16), firstIndex: Number.parseInt(match[2]!, 16) });
  }
  files.forEach(({ name, sequence }, i) => {
    if (i > 0 && sequence !== files[i - 1]!.sequence + 1) throw new WalError(`a file before ${name} is missing`);
  });
  return files;
}

function hex(value: number): string {
  return value.toString(16).padStart(16, '0');
}
