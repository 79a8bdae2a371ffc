/**
 * Records of etcd's write-ahead log: protobuf in frames of eight-byte steps, each with the checksum of all data before and in it,
 * across files. (upstream: server/storage/wal)
 */
import { Record } from '#api-etcd/gen/wal.ts';
import { crc32c } from '#std/crc32c.ts';

export const RecordType = { metadata: 1, entry: 2, state: 3, crc: 4, snapshot: 5 } as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

/** A crash leaves whole sectors, in any order. */
export const sectorBytes = 512;
const lengthBytes = 8;

/** Puts records, one after another, into bytes to write. */
export class RecordWriter {
  #crc: number;

  /** @param crc the checksum so far */
  constructor(crc: number) {
    this.#crc = crc;
  }

  get crc(): number {
    return this.#crc;
  }

  encode(records: readonly { readonly type: RecordType; readonly data?: Uint8Array }[]): Buffer {
    let length = 0;
    const ready = records.map(({ type, data }) => {
      if (data !== undefined) this.#crc = crc32c(data, this.#crc);
      const record: Record = { type, crc: this.#crc, data };
      const size = Record.size(record);
      const padding = (8 - (size % 8)) % 8;
      length += lengthBytes + size + padding;
      return { record, size, padding };
    });
    const bytes = Buffer.allocUnsafe(length);
    let at = 0;
    for (const { record, size, padding } of ready) {
      bytes.writeUInt32LE(size, at);
      bytes.writeUInt32LE(padding === 0 ? 0 : ((0x80 | padding) << 24) >>> 0, at + 4);
      at = Record.write(record, bytes, at + lengthBytes);
      bytes.fill(0, at, at + padding);
      at += padding;
    }
    return bytes;
  }
}

export type ReadStep =
  | { readonly kind: 'record'; readonly record: Record; readonly end: number }
  /** Preallocated space, or the end of the file. */
  | { readonly kind: 'end' }
  /** A write that a crash cut short. Only the last file may have one. */
  | { readonly kind: 'torn' }
  | { readonly kind: 'corrupt'; readonly reason: string };

/** Reads one file's records; the checksum goes on from file to file. */
export class RecordReader {
  readonly #bytes: Buffer;
  readonly #isLast: boolean;
  #at = 0;
  crc: number;

  constructor(bytes: Buffer, isLast: boolean, crc: number) {
    this.#bytes = bytes;
    this.#isLast = isLast;
    this.crc = crc;
  }

  /** Where the next record starts. */
  get offset(): number {
    return this.#at;
  }

  next(): ReadStep {
    const bytes = this.#bytes;
    const left = bytes.length - this.#at;
    if (left === 0) return { kind: 'end' };
    if (left < lengthBytes) return this.#isLast ? { kind: 'torn' } : { kind: 'corrupt', reason: 'a cut frame' };
    const end = frameEnd(bytes, this.#at);
    if (end === undefined) return { kind: 'end' };
    const start = this.#at + lengthBytes;
    const size = frameSize(bytes, this.#at);
    if (end > bytes.length)
      return this.#isLast ? { kind: 'torn' } : { kind: 'corrupt', reason: 'a record longer than its file' };
    const broken = (reason: string): ReadStep =>
      this.#isLast && hasLostSector(bytes, start, end) ? { kind: 'torn' } : { kind: 'corrupt', reason };
    let record: Record;
    try {
      record = Record.decode(bytes.subarray(start, start + size));
    } catch (error) {
      return broken((error as Error).message);
    }
    if (record.type === RecordType.crc) {
      // The first record of a file repeats the checksum of the file before it.
      if (this.crc !== 0 && record.crc !== this.crc) return broken('the checksum of the file before does not match');
      this.crc = record.crc;
    } else {
      const crc = crc32c(record.data ?? new Uint8Array(0), this.crc);
      if (crc !== record.crc) return broken('a checksum does not match');
      this.crc = crc;
    }
    this.#at = end;
    return { kind: 'record', record, end };
  }
}

/** Where the frame at `at` ends; undefined for none: zeros. Its eight bytes of length must be there. */
export function frameEnd(bytes: Buffer, at: number): number | undefined {
  const high = bytes.readUInt32LE(at + 4);
  if (high === 0 && bytes.readUInt32LE(at) === 0) return undefined;
  const padding = high >= 0x8000_0000 ? (high >>> 24) & 7 : 0;
  return at + lengthBytes + frameSize(bytes, at) + padding;
}

/** Bytes of the record in a frame, without padding. */
function frameSize(bytes: Buffer, at: number): number {
  return (bytes.readUInt32LE(at + 4) & 0x00ff_ffff) * 2 ** 32 + bytes.readUInt32LE(at);
}

/** Whether a sector's part of `[start, end)` is all zeros: it was never written. */
function hasLostSector(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    const next = Math.min(end, at - (at % sectorBytes) + sectorBytes);
    let zero = true;
    for (let i = at; i < next && zero; i++) zero = bytes[i] === 0;
    if (zero) return true;
    at = next;
  }
  return false;
}
