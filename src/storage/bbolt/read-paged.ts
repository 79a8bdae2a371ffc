/**
 * Looks into a bbolt file that is not read into memory: the last pair of a bucket, or the pairs of a small one. Pages come one at a time.
 * Bytes come from outside: every offset is checked, and a tree has no more levels than one can have.
 */
import { BboltError, bucketBytes, bucketFlag, elementBytes, PageFlag, pageHeaderBytes } from './format.ts';
import { metaOffsets, readMeta } from './read.ts';
import type { Pair } from './write.ts';

/** Bytes from a position; fewer only at the end of the file. */
export type ReadAt = (position: number, length: number) => Promise<Buffer>;

/** Both metas stand in the first two pages, which are at most this large each. */
const pageBytesMax = 64 << 10;
/** Branches have at least two children, files fewer than 2^63 pages. */
const levelsMax = 64;
/** Of a page with those it spans: far more than the largest pair that a server takes, and less than would hurt. */
const spanBytesMax = 256 << 20;

interface Element extends Pair {
  readonly flags: number;
  /** Of a branch. */
  readonly child: bigint | undefined;
}

export class PagedBbolt {
  readonly #readAt: ReadAt;
  readonly #pageBytes: number;
  readonly #root: bigint;

  private constructor(readAt: ReadAt, pageBytes: number, root: bigint) {
    this.#readAt = readAt;
    this.#pageBytes = pageBytes;
    this.#root = root;
  }

  /** @throws BboltError when neither meta page is valid */
  static async open(readAt: ReadAt): Promise<PagedBbolt> {
    const start = await readAt(0, 2 * pageBytesMax);
    const metas = metaOffsets(start).flatMap((at) => readMeta(start, at) ?? []);
    const newest = metas.sort((a, b) => (a.txid < b.txid ? 1 : -1))[0];
    if (newest === undefined) throw new BboltError('no valid meta page');
    return new PagedBbolt(readAt, newest.pageBytes, newest.root);
  }

  /** The last pair of a top bucket; undefined when it is empty or not there. */
  async last(bucket: string): Promise<Pair | undefined> {
    let page = await this.#bucket(bucket);
    for (let level = 0; page !== undefined; level++) {
      if (level > levelsMax) throw new BboltError('a tree has too many levels');
      const last = elementsOf(page).at(-1);
      if (last?.child === undefined) return last;
      page = await this.#page(last.child);
    }
    return undefined;
  }

  /** All pairs of a top bucket that is small. */
  async pairs(bucket: string): Promise<readonly Pair[]> {
    const page = await this.#bucket(bucket);
    return page === undefined ? [] : this.#walk(page, 0);
  }

  async #bucket(name: string): Promise<Buffer | undefined> {
    const found = (await this.#walk(await this.#page(this.#root), 0)).find(
      ({ key, flags }) => (flags & bucketFlag) !== 0 && Buffer.from(key).toString() === name,
    );
    if (found === undefined) return undefined;
    const value = Buffer.from(found.value.buffer, found.value.byteOffset, found.value.length);
    if (value.length < bucketBytes) throw new BboltError(`bucket ${name} is cut`);
    const root = value.readBigUInt64LE(0);
    return root === 0n ? value.subarray(bucketBytes) : this.#page(root);
  }

  async #walk(page: Buffer, level: number): Promise<Element[]> {
    if (level > levelsMax) throw new BboltError('a tree has too many levels');
    const elements = elementsOf(page);
    const below: Element[] = [];
    for (const element of elements)
      if (element.child === undefined) below.push(element);
      else below.push(...(await this.#walk(await this.#page(element.child), level + 1)));
    return below;
  }

  /** A page with those it spans. */
  async #page(id: bigint): Promise<Buffer> {
    const at = Number(id) * this.#pageBytes;
    const first = await this.#readAt(at, this.#pageBytes);
    if (id < 2n || first.length < this.#pageBytes) throw new BboltError(`page ${id} is not in the file`);
    if (first.readBigUInt64LE(0) !== id) throw new BboltError(`page ${id} says it is another`);
    const length = (first.readUInt32LE(12) + 1) * this.#pageBytes;
    if (length > spanBytesMax) throw new BboltError(`page ${id} says that it has ${length} bytes`);
    const page = length === this.#pageBytes ? first : await this.#readAt(at, length);
    if (page.length < length) throw new BboltError(`page ${id} reaches past the file`);
    return page;
  }
}

function elementsOf(page: Buffer): readonly Element[] {
  if (page.length < pageHeaderBytes) throw new BboltError('a page is cut');
  const kind = page.readUInt16LE(8);
  const count = page.readUInt16LE(10);
  if (pageHeaderBytes + count * elementBytes > page.length) throw new BboltError('elements reach past their page');
  if ((kind & (PageFlag.branch | PageFlag.leaf)) === 0) throw new BboltError(`a page of the tree has flags ${kind}`);
  return Array.from({ length: count }, (_, i) => {
    const at = pageHeaderBytes + i * elementBytes;
    if ((kind & PageFlag.branch) !== 0)
      return { key: page, value: page, flags: 0, child: page.readBigUInt64LE(at + 8) };
    const start = at + page.readUInt32LE(at + 4);
    const middle = start + page.readUInt32LE(at + 8);
    const end = middle + page.readUInt32LE(at + 12);
    if (end > page.length) throw new BboltError('a pair reaches past its page');
    return {
      key: page.subarray(start, middle),
      value: page.subarray(middle, end),
      flags: page.readUInt32LE(at),
      child: undefined,
    };
  });
}
