/**
 * Writes the newest segment of an archive: each batch is on disk when `append` resolves. A crash cuts at most the batch that was under way;
 * whoever opens the segment again takes that away and goes on behind it.
 */
import { type SegmentBatch, SegmentEnd, SegmentStart } from '#api-etcd/gen/backup.ts';
import type { Disk, DiskFile } from '#host/disk.ts';
import { replaceFile } from '../checkpoint/save.ts';
import { openSegmentName, segmentName } from './names.ts';
import { encodeFrame, readSegment, segmentFormat } from './segment.ts';

/** A segment is ended when it has grown past this: a restore reads one at a time. */
export const segmentBytesDefault = 16 << 20;

/** Where an archive is. */
export interface SegmentPlace {
  readonly disk: Disk;
  readonly folder: string;
}

export class SegmentWriter implements AsyncDisposable {
  readonly #place: SegmentPlace;
  readonly #file: DiskFile;
  readonly #first: number;
  #at: number;
  /** Revision of the last change; `first - 1` before there is one. */
  #last: number;
  #ended = false;

  private constructor(place: SegmentPlace, file: DiskFile, first: number, at: number, last: number) {
    this.#place = place;
    this.#file = file;
    this.#first = first;
    this.#at = at;
    this.#last = last;
  }

  /** A new one, that gets its name when its beginning is on disk. */
  static async create(place: SegmentPlace, start: Omit<SegmentStart, 'format'>): Promise<SegmentWriter> {
    const { disk, folder } = place;
    const { firstRevision: first } = start;
    const frame = encodeFrame({
      record: { case: 'start', value: SegmentStart.create({ ...start, format: segmentFormat }) },
    });
    const path = `${folder}/${openSegmentName(first)}`;
    await replaceFile(disk, path, [frame]);
    await disk.syncFolder(folder);
    return new SegmentWriter(place, await disk.open(path), first, frame.length, first - 1);
  }

  /** The one that was being written. A cut end is taken away. @throws ArchiveError for other damage */
  static async reopen(place: SegmentPlace, name: string, first: number): Promise<SegmentWriter> {
    const path = `${place.folder}/${name}`;
    const bytes = (await place.disk.read(path))!;
    const { batches, wholeBytes, ended } = readSegment(bytes, path, true);
    const file = await place.disk.open(path);
    if (wholeBytes < bytes.length) {
      await file.truncate(wholeBytes);
      await file.sync();
    }
    const last = batches.findLast(({ changes }) => changes.length > 0)?.changes.at(-1)?.revision ?? first - 1;
    const writer = new SegmentWriter(place, file, first, wholeBytes, last);
    // It was ended, and the crash came before its name.
    if (ended) await writer.#name();
    writer.#ended = ended;
    return writer;
  }

  /** Nothing can be appended: it had its end already. */
  get ended(): boolean {
    return this.#ended;
  }

  get last(): number {
    return this.#last;
  }

  get bytes(): number {
    return this.#at;
  }

  async append(batch: SegmentBatch): Promise<void> {
    await this.#write(encodeFrame({ record: { case: 'batch', value: batch } }));
    this.#last = batch.changes.at(-1)?.revision ?? this.#last;
  }

  /** Ends it and gives it its name; one without changes goes. Nothing is appended any more. */
  async end(): Promise<void> {
    if (this.#last < this.#first) {
      await this.#place.disk.remove(`${this.#place.folder}/${openSegmentName(this.#first)}`);
      await this.#place.disk.syncFolder(this.#place.folder);
      return;
    }
    await this.#write(encodeFrame({ record: { case: 'end', value: SegmentEnd.create({ lastRevision: this.#last }) } }));
    await this.#name();
  }

  async #name(): Promise<void> {
    const { disk, folder } = this.#place;
    const from = `${folder}/${openSegmentName(this.#first)}`;
    await disk.rename(from, `${folder}/${segmentName(this.#first, this.#last)}`);
    await disk.syncFolder(folder);
  }

  async #write(frame: Buffer): Promise<void> {
    await this.#file.write(frame, this.#at);
    await this.#file.sync();
    this.#at += frame.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}
