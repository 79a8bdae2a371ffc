/**
 * Reads a bbolt file: the pairs of its top buckets, in order. Bytes come from outside: every offset is checked, and a page is never
 * visited twice.
 */
import {
  BboltError,
  bucketBytes,
  bucketFlag,
  elementBytes,
  fnv64a,
  magic,
  metaBytes,
  PageFlag,
  pageHeaderBytes,
  version,
} from './format.ts';
import type { Pair } from './write.ts';

export class BboltReader {
  readonly #file: Buffer;
  readonly #pageBytes: number;
  readonly #root: bigint;

  /** @throws BboltError when neither meta page is valid */
  constructor(file: Buffer) {
    this.#file = file;
    const metas = metaOffsets(file).flatMap((at) => readMeta(file, at) ?? []);
    const newest = metas.sort((a, b) => (a.txid < b.txid ? 1 : -1))[0];
    if (newest === undefined) throw new BboltError('no valid meta page');
    this.#pageBytes = newest.pageBytes;
    this.#root = newest.root;
  }

  /** Names of the top buckets. */
  bucketNames(): string[] {
    return [...this.#walk(this.#page(this.#root), new Set())].map(({ key }) => Buffer.from(key).toString());
  }

  /** Pairs of a top bucket (views of the file), in order of keys; none for a bucket that is not there. */
  *pairs(bucket: string): Generator<Pair> {
    for (const { key, value, flags } of this.#walk(this.#page(this.#root), new Set())) {
      if ((flags & bucketFlag) === 0 || Buffer.from(key).toString() !== bucket) continue;
      if (value.length < bucketBytes) throw new BboltError(`bucket ${bucket} is cut`);
      const root = Buffer.from(value.buffer, value.byteOffset, value.length).readBigUInt64LE(0);
      // A small bucket's only page is kept in its value.
      const page = root === 0n ? value.subarray(bucketBytes) : this.#page(root);
      for (const pair of this.#walk(page, new Set())) if ((pair.flags & bucketFlag) === 0) yield pair;
    }
  }

  /** @param seen pages visited so far: a tree has each once */
  *#walk(page: Uint8Array, seen: Set<bigint>): Generator<Pair & { readonly flags: number }> {
    const view = Buffer.from(page.buffer, page.byteOffset, page.length);
    if (view.length < pageHeaderBytes) throw new BboltError('a page is cut');
    const flags = view.readUInt16LE(8);
    const count = view.readUInt16LE(10);
    if (pageHeaderBytes + count * elementBytes > view.length) throw new BboltError('elements reach past their page');
    for (let i = 0; i < count; i++) {
      const at = pageHeaderBytes + i * elementBytes;
      if ((flags & PageFlag.branch) !== 0) {
        const child = view.readBigUInt64LE(at + 8);
        if (seen.has(child)) throw new BboltError(`page ${child} is in the tree twice`);
        seen.add(child);
        yield* this.#walk(this.#page(child), seen);
      } else if ((flags & PageFlag.leaf) !== 0) {
        const start = at + view.readUInt32LE(at + 4);
        const middle = start + view.readUInt32LE(at + 8);
        const end = middle + view.readUInt32LE(at + 12);
        if (end > view.length) throw new BboltError('a pair reaches past its page');
        yield { key: view.subarray(start, middle), value: view.subarray(middle, end), flags: view.readUInt32LE(at) };
      } else throw new BboltError(`a page of the tree has flags ${flags}`);
    }
  }

  /** A page with those it spans. */
  #page(id: bigint): Buffer {
    const at = Number(id) * this.#pageBytes;
    if (id < 2n || at + pageHeaderBytes > this.#file.length) throw new BboltError(`page ${id} is not in the file`);
    if (this.#file.readBigUInt64LE(at) !== id) throw new BboltError(`page ${id} says it is another`);
    const end = at + (this.#file.readUInt32LE(at + 12) + 1) * this.#pageBytes;
    if (end > this.#file.length) throw new BboltError(`page ${id} reaches past the file`);
    return this.#file.subarray(at, end);
  }
}

/** The second meta stands on the second page, whose size only the first knows; without it every usual size is tried. */
export function metaOffsets(file: Buffer): number[] {
  const first = readMeta(file, 0);
  if (first !== undefined) return [0, first.pageBytes];
  return Array.from({ length: 15 }, (_, i) => 1024 << i);
}

/** What a meta page says; undefined for one that is not valid. @param page where it begins */
export function readMeta(
  file: Buffer,
  page: number,
): { readonly root: bigint; readonly txid: bigint; readonly pageBytes: number } | undefined {
  const at = page + pageHeaderBytes;
  if (at + metaBytes + 8 > file.length) return undefined;
  if (file.readUInt32LE(at) !== magic || file.readUInt32LE(at + 4) !== version) return undefined;
  if (file.readBigUInt64LE(at + metaBytes) !== fnv64a(file.subarray(at, at + metaBytes))) return undefined;
  const pageBytes = file.readUInt32LE(at + 8);
  if (pageBytes < 512) return undefined;
  return { root: file.readBigUInt64LE(at + 16), txid: file.readBigUInt64LE(at + 48), pageBytes };
}
