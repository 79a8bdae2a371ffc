/**
 * Bytes of a segment: frames of sixteen bytes' multiples, each a header (magic, length, checksum of the record, checksum of the header) and a
 * record. A frame is written and synced before the next one, so that a crash can only cut the last. Headers never straddle a sector.
 */

import type { SegmentBatch, SegmentStart } from '#api-etcd/gen/backup.ts';
import { SegmentRecord } from '#api-etcd/gen/backup.ts';
import { crc32c } from '#std/crc32c.ts';
import { ArchiveError } from './names.ts';

/** What {@link SegmentStart} says; another one is not read. */
export const segmentFormat = 1;
const magic = 0x5342_4857;
const headerBytes = 16;
const align = 16;

/** A record as it stands in a segment. */
export function encodeFrame(record: SegmentRecord): Buffer {
  const size = SegmentRecord.size(record);
  const frame = Buffer.alloc(headerBytes + Math.ceil(size / align) * align);
  SegmentRecord.write(record, frame, headerBytes);
  frame.writeUInt32LE(magic, 0);
  frame.writeUInt32LE(size, 4);
  frame.writeUInt32LE(crc32c(frame.subarray(headerBytes, headerBytes + size)), 8);
  frame.writeUInt32LE(crc32c(frame.subarray(0, 12)), 12);
  return frame;
}

/** What could be read of a segment. */
export interface SegmentContent {
  readonly start: SegmentStart;
  readonly batches: readonly SegmentBatch[];
  /** Nothing comes after. */
  readonly ended: boolean;
  /** Bytes up to the end of the last whole frame. */
  readonly wholeBytes: number;
  /** A frame that a crash has cut begins at `wholeBytes`. */
  readonly torn: boolean;
}

/**
 * @param path for messages
 * @param isOpen whether the last frame may be cut: the segment was being written
 * @throws ArchiveError naming the file and the place, for anything else that is not as it was written
 */
export function readSegment(bytes: Buffer, path: string, isOpen: boolean): SegmentContent {
  let start: SegmentStart | undefined;
  const batches: SegmentBatch[] = [];
  let ended = false;
  let at = 0;
  let torn = false;
  while (at < bytes.length) {
    const frame = readFrame(bytes, at);
    if (frame.kind === 'torn' && isOpen) {
      torn = true;
      break;
    }
    if (frame.kind !== 'record') throw damaged(path, at, frame.reason);
    const { record } = frame.record;
    if (ended) throw damaged(path, at, 'there is more after its end');
    if ((start === undefined) !== (record?.case === 'start')) throw damaged(path, at, 'a record out of place');
    if (record?.case === 'start') {
      if (record.value.format !== segmentFormat)
        throw damaged(path, at, `format ${record.value.format} is not known: it was written by a newer program`);
      start = record.value;
    } else if (record?.case === 'batch') batches.push(record.value);
    else if (record?.case === 'end') ended = true;
    else throw damaged(path, at, 'a record of an unknown kind');
    at = frame.end;
  }
  if (!isOpen && !ended) throw damaged(path, at, 'its end is missing');
  // A segment has no name before its beginning is on disk.
  if (start === undefined) throw damaged(path, 0, 'its beginning is missing');
  return { start, batches, ended, wholeBytes: at, torn };
}

type Frame =
  | { readonly kind: 'record'; readonly record: SegmentRecord; readonly end: number }
  | { readonly kind: 'torn' | 'damaged'; readonly reason: string };

function readFrame(bytes: Buffer, at: number): Frame {
  if (bytes.length - at < headerBytes) return { kind: 'torn', reason: 'a frame is cut' };
  const header = bytes.subarray(at, at + headerBytes);
  // A sector that never reached the disk. (The file had grown already.)
  if (header.every((byte) => byte === 0)) return { kind: 'torn', reason: 'zeros where a frame should begin' };
  if (header.readUInt32LE(0) !== magic || header.readUInt32LE(12) !== crc32c(header.subarray(0, 12)))
    return { kind: 'damaged', reason: 'the header of a frame does not match its checksum' };
  const size = header.readUInt32LE(4);
  const from = at + headerBytes;
  const end = from + Math.ceil(size / align) * align;
  if (end > bytes.length) return { kind: 'torn', reason: 'a frame reaches past the file' };
  const record = bytes.subarray(from, from + size);
  if (header.readUInt32LE(8) !== crc32c(record) || bytes.subarray(from + size, end).some((byte) => byte !== 0))
    return { kind: end === bytes.length ? 'torn' : 'damaged', reason: 'a record does not match its checksum' };
  return { kind: 'record', record: SegmentRecord.decode(record), end };
}

function damaged(path: string, at: number, reason: string): ArchiveError {
  return new ArchiveError(`${path}: damaged at byte ${at}: ${reason}`);
}
