/**
 * Reads a bbolt file that is not read into memory: the last pair of a bucket, the pairs of a small one, or those of a large one, one after the
 * other. Of the latter the pages below one branch are in memory at a time, wherever in the file they are.
 * Bytes come from outside: every offset is checked, and a tree has no more levels than one can have.
 */
import { BboltError, bucketBytes, bucketFlag, elementBytes, PageFlag, pageHeaderBytes } from './format.ts';
import { metaOffsets, readMeta } from './read.ts';
import type { Pair } from './write.ts';

/** Bytes from a position; fewer only at the end of the file. They may be put into `room`. */
export type ReadAt = (position: number, length: number, room?: Buffer) => Promise<Buffer>;

/** Of a file that is in memory after all. */
export function readFrom(file: Buffer): ReadAt {
  return async (position, length) => file.subarray(position, position + length);
}

/** A pair in its page: the key ends where the value begins. */
export type VisitPair = (page: Buffer, keyStart: number, valueStart: number, valueEnd: number) => void;

/** Both metas stand in the first two pages, which are at most this large each. */
const pageBytesMax = 64 << 10;
/** Branches have at least two children, files fewer than 2^63 pages. */
const levelsMax = 64;
/** Of a page with those it spans: far more than the largest pair that a server takes, and less than would hurt. */
const spanBytesMax = 256 << 20;
/** A branch has about as many children, when keys are short. */
const pagesAheadMax = 128;
/** Pages that are needed and stand no further apart are read together. */
const gapPagesMax = 16;

interface Element extends Pair {
  readonly flags: number;
  /** Of a branch. */
  readonly child: bigint | undefined;
}

export class PagedBbolt {
  readonly #readAt: ReadAt;
  readonly #pageBytes: number;
  readonly #root: bigint;
  /** Of each level of a tree that is visited, what the pages read ahead are put into: again and again, not into new memory each time. */
  readonly #rooms: Buffer[] = [];

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
    if (newest.pageBytes > pageBytesMax) throw new BboltError(`pages of ${newest.pageBytes} bytes`);
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
    const elements = page === undefined ? [] : await this.#walk(page, 0);
    return elements.filter(({ flags }) => (flags & bucketFlag) === 0);
  }

  /** Visits the pairs of a top bucket, in order, however many there are; one bucket at a time. A page is not to be kept. */
  async each(bucket: string, visit: VisitPair): Promise<void> {
    const page = await this.#bucket(bucket);
    if (page !== undefined) await this.#visitBelow(page, visit, new Set(), 0);
  }

  /** @param seen pages visited so far: a tree has each once */
  async #visitBelow(page: Buffer, visit: VisitPair, seen: Set<bigint>, level: number): Promise<void> {
    if (level > levelsMax) throw new BboltError('a tree has too many levels');
    if (!isBranch(page)) {
      visitLeaf(page, visit);
      return;
    }
    const ids = childrenOf(page);
    for (const id of ids) {
      if (seen.has(id)) throw new BboltError(`page ${id} is in the tree twice`);
      seen.add(id);
    }
    for (let i = 0; i < ids.length; i += pagesAheadMax) {
      const some = ids.slice(i, i + pagesAheadMax);
      const pageOf = await this.#readAhead(some, level);
      for (const id of some) await this.#visitBelow(pageOf(id) ?? (await this.#page(id)), visit, seen, level + 1);
    }
  }

  /** Reads pages that will be needed. @returns those of them that are there whole, and say that they are themselves */
  async #readAhead(ids: readonly bigint[], level: number): Promise<(id: bigint) => Buffer | undefined> {
    const pageBytes = this.#pageBytes;
    const runs: { readonly first: bigint; last: bigint; bytes: Buffer }[] = [];
    for (const id of [...ids].sort((a, b) => (a < b ? -1 : 1))) {
      const run = runs.at(-1);
      if (run !== undefined && id - run.last <= gapPagesMax) run.last = id;
      else runs.push({ first: id, last: id, bytes: noBytes });
    }
    const lengthOf = ({ first, last }: (typeof runs)[number]) => Number(last - first + 1n) * pageBytes;
    const wanted = runs.reduce((sum, run) => sum + lengthOf(run), 0);
    let room = this.#rooms[level];
    if (room === undefined || room.length < wanted) this.#rooms[level] = room = Buffer.allocUnsafeSlow(wanted);
    let used = 0;
    const into = room;
    await Promise.all(
      runs.map(async (run) => {
        const from = used;
        used += lengthOf(run);
        run.bytes = await this.#read(run.first, lengthOf(run), into.subarray(from, used));
      }),
    );
    return (id) => {
      const run = runs.findLast(({ first }) => first <= id)!;
      const at = Number(id - run.first) * pageBytes;
      if (at + pageBytes > run.bytes.length || run.bytes.readBigUInt64LE(at) !== id) return undefined;
      const end = at + (run.bytes.readUInt32LE(at + 12) + 1) * pageBytes;
      return end <= run.bytes.length ? run.bytes.subarray(at, end) : undefined;
    };
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

  /** From the beginning of a page on. */
  #read(id: bigint, length: number, room?: Buffer): Promise<Buffer> {
    const at = Number(id) * this.#pageBytes;
    if (at > Number.MAX_SAFE_INTEGER) throw new BboltError(`page ${id} is not in the file`);
    return this.#readAt(at, length, room);
  }

  /** A page with those it spans. */
  async #page(id: bigint): Promise<Buffer> {
    const first = await this.#read(id, this.#pageBytes);
    if (id < 2n || first.length < this.#pageBytes) throw new BboltError(`page ${id} is not in the file`);
    if (first.readBigUInt64LE(0) !== id) throw new BboltError(`page ${id} says it is another`);
    const length = (first.readUInt32LE(12) + 1) * this.#pageBytes;
    if (length > spanBytesMax) throw new BboltError(`page ${id} says that it has ${length} bytes`);
    const page = length === this.#pageBytes ? first : await this.#read(id, length);
    if (page.length < length) throw new BboltError(`page ${id} reaches past the file`);
    return page;
  }
}

const noBytes = Buffer.alloc(0);

function elementsOf(page: Buffer): readonly Element[] {
  if (isBranch(page)) return childrenOf(page).map((child) => ({ key: page, value: page, flags: 0, child }));
  return Array.from({ length: countOf(page) }, (_, i) => {
    const { at, start, middle, end } = pairAt(page, i);
    return {
      key: page.subarray(start, middle),
      value: page.subarray(middle, end),
      flags: page.readUInt32LE(at),
      child: undefined,
    };
  });
}

function childrenOf(page: Buffer): bigint[] {
  return Array.from({ length: countOf(page) }, (_, i) => page.readBigUInt64LE(pageHeaderBytes + i * elementBytes + 8));
}

/** Those that are buckets are left out. */
function visitLeaf(page: Buffer, visit: VisitPair): void {
  const count = countOf(page);
  for (let i = 0; i < count; i++) {
    const { at, start, middle, end } = pairAt(page, i);
    if ((page.readUInt32LE(at) & bucketFlag) === 0) visit(page, start, middle, end);
  }
}

function isBranch(page: Buffer): boolean {
  if (page.length < pageHeaderBytes) throw new BboltError('a page is cut');
  const kind = page.readUInt16LE(8);
  if ((kind & (PageFlag.branch | PageFlag.leaf)) === 0) throw new BboltError(`a page of the tree has flags ${kind}`);
  return (kind & PageFlag.branch) !== 0;
}

function countOf(page: Buffer): number {
  const count = page.readUInt16LE(10);
  if (pageHeaderBytes + count * elementBytes > page.length) throw new BboltError('elements reach past their page');
  return count;
}

/** A leaf's element: where it stands, where its key begins, its value begins and ends. */
function pairAt(page: Buffer, i: number) {
  const at = pageHeaderBytes + i * elementBytes;
  const start = at + page.readUInt32LE(at + 4);
  const middle = start + page.readUInt32LE(at + 8);
  const end = middle + page.readUInt32LE(at + 12);
  if (end > page.length) throw new BboltError('a pair reaches past its page');
  return { at, start, middle, end };
}
