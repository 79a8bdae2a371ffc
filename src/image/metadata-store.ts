/**
 * What the daemon knows besides bytes: images, labels of content, snapshots, leases, sandboxes. Buckets of JSON values, held in memory,
 * made durable by an append-only log beside a snapshot of everything. A change is visible at once and on disk when its promise
 * resolves; changes that come together share one fdatasync. A torn tail of the log is cut off on opening: nothing in it was
 * acknowledged.
 *
 * Log: one line a commit, `CRC32 JSON`, JSON being `[sequence, [[bucket, key, value], ...]]`; a value of null deletes. Snapshot:
 * `{"version":1,"sequence":n,"buckets":{...}}`.
 */
import { crc32 } from 'node:zlib';
import { openAppendFile } from '#host/append-file.ts';
import { makeFolder, readIfThere, replaceFile } from '#host/files.ts';
import { assert } from '#std/assert.ts';

/** Plain data as `JSON.stringify` writes it back unchanged; nobody changes a value after handing it over. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

/** Puts a value, or removes the key when `value` is undefined. */
export interface Change {
  readonly bucket: string;
  readonly key: string;
  readonly value: Json | undefined;
}

export interface MetadataStore extends AsyncDisposable {
  get(bucket: string, key: string): Json | undefined;
  /** Entries in the order of their making. */
  entries(bucket: string): ReadonlyMap<string, Json>;
  /**
   * Applies all changes together, at once; resolves when they are durable. When writing fails, for a full disk, it rejects: the change is in force and is
   * written with the next one that can be.
   */
  commit(changes: readonly Change[]): Promise<void>;
}

/** The log is folded into the snapshot when it is larger than this and than the snapshot. */
const logBytesMin = 1 << 20;
/** Changes that wait for room on the disk; more are refused. */
const unwrittenMax = 10_000;

export async function openMetadataStore(folder: string): Promise<MetadataStore> {
  await makeFolder(folder, 0o711);
  const snapshotPath = `${folder}/metadata.json`;
  const buckets = new Map<string, Map<string, Json>>();
  let sequence = 0;
  const snapshot = await readIfThere(snapshotPath);
  let snapshotBytes = 0;
  if (snapshot !== undefined) {
    const parsed = parseSnapshot(snapshotPath, snapshot);
    if (parsed.version !== 1)
      throw new Error(`${snapshotPath}: version ${parsed.version} is not one this program reads`);
    ({ sequence } = parsed);
    for (const [name, values] of Object.entries(parsed.buckets)) buckets.set(name, new Map(Object.entries(values)));
    snapshotBytes = snapshot.length;
  }

  const logPath = `${folder}/metadata.log`;
  const replay = replayLog((await readIfThere(logPath)) ?? Buffer.alloc(0));
  // A crash between writing a snapshot and emptying the log leaves commits that the snapshot holds already.
  for (const [number, changes] of replay.commits)
    if (number > sequence) {
      for (const [bucket, key, value] of changes) apply(bucket, key, value ?? undefined);
      sequence = number;
    }
  const log = await openAppendFile(logPath);
  if (log.size > replay.bytes) await log.truncate(replay.bytes);

  function apply(bucket: string, key: string, value: Json | undefined): void {
    let values = buckets.get(bucket);
    if (values === undefined) buckets.set(bucket, (values = new Map()));
    if (value === undefined) values.delete(key);
    else values.set(key, value);
  }

  let pending: string[] = [];
  let flushing: Promise<void> | undefined;
  let writing: Promise<void> = Promise.resolve();
  /** Lines of rounds that failed. They were applied: the next round writes them first, so that what is on disk never misses one. */
  let unwritten: string[] = [];
  let writtenBytes = log.size;
  let closed = false;

  /** Writes what has gathered once the round before it is on disk; what comes meanwhile goes into the next round. */
  async function flush(): Promise<void> {
    await writing.catch(() => {});
    const lines = pending;
    pending = [];
    flushing = undefined;
    writing = write(lines);
    await writing;
  }

  async function write(lines: readonly string[]): Promise<void> {
    unwritten = [...unwritten, ...lines];
    // What a failed round wrote of a line is not known.
    if (log.size > writtenBytes) await log.truncate(writtenBytes);
    await log.append(Buffer.from(unwritten.join('')));
    await log.sync();
    unwritten = [];
    writtenBytes = log.size;
    if (log.size > logBytesMin && log.size > snapshotBytes)
      try {
        await fold();
      } catch (error) {
        // The log has it all; a later round tries again. A log that could not be emptied is as before, too.
        if (!isDiskFull(error)) throw error;
      }
  }

  async function fold(): Promise<void> {
    // Commits that were applied but not written yet are in the snapshot early: replaying skips them by their sequence.
    const bytes = Buffer.from(
      JSON.stringify({
        version: 1,
        sequence,
        buckets: Object.fromEntries([...buckets].map(([name, values]) => [name, Object.fromEntries(values)])),
      }),
    );
    await replaceFile(snapshotPath, bytes, { mode: 0o600 });
    snapshotBytes = bytes.length;
    await log.truncate(0);
    writtenBytes = 0;
    await log.sync();
  }

  return {
    get: (bucket, key) => buckets.get(bucket)?.get(key),
    entries: (bucket) => buckets.get(bucket) ?? new Map(),
    commit(changes) {
      assert(!closed, 'metadata store is closed');
      if (unwritten.length >= unwrittenMax)
        return Promise.reject(new Error(`${logPath}: more than ${unwrittenMax} changes could not be written`));
      for (const { bucket, key, value } of changes) apply(bucket, key, value);
      const json = JSON.stringify([
        ++sequence,
        changes.map(({ bucket, key, value }) => [bucket, key, value === undefined ? null : value]),
      ]);
      pending.push(`${crc32(json).toString(16).padStart(8, '0')} ${json}\n`);
      flushing ??= flush();
      return flushing;
    },
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      await (flushing ?? writing).catch(() => {});
      // The disk may have room again; if not, whoever made these changes was told.
      if (unwritten.length > 0) await write([]).catch(() => {});
      await log[Symbol.asyncDispose]();
    },
  };
}

function isDiskFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

interface Snapshot {
  readonly version: number;
  readonly sequence: number;
  readonly buckets: Readonly<Record<string, Readonly<Record<string, Json>>>>;
}

/** It was written whole and is replaced whole: what does not parse, the disk has lost. */
function parseSnapshot(path: string, bytes: Buffer): Snapshot {
  try {
    return JSON.parse(bytes.toString()) as Snapshot;
  } catch (error) {
    throw new Error(
      `${path} is damaged (${(error as Error).message}); put a copy back, or remove its folder to begin without images and pods`,
      { cause: error },
    );
  }
}

type LoggedChange = readonly [bucket: string, key: string, value: Json];

/** Commits up to the first line that is torn, and how many bytes they take. */
function replayLog(log: Buffer): { commits: (readonly [number, readonly LoggedChange[]])[]; bytes: number } {
  const commits: (readonly [number, readonly LoggedChange[]])[] = [];
  let at = 0;
  for (;;) {
    const end = log.indexOf(0x0a, at);
    if (end < 0) break;
    const line = log.subarray(at, end);
    const json = line.subarray(9);
    if (line.length < 9 || line.toString('latin1', 0, 8) !== crc32(json).toString(16).padStart(8, '0')) break;
    commits.push(JSON.parse(json.toString()));
    at = end + 1;
  }
  return { commits, bytes: at };
}
