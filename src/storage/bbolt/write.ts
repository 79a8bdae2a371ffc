/**
 * Writes a whole bbolt file from buckets that come in order: full pages, no free ones, first byte to last. The layout is planned from
 * lengths alone, so the file can be streamed, and its size is known before.
 */
import { atOnce, inSlices } from '#host/event-loop.ts';
import {
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

export interface Pair {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A bucket without buckets in it. `pairs` gives the same pairs, in ascending order of their keys, each time it is called. */
export interface BucketSource {
  readonly name: string;
  pairs(): Iterable<Pair>;
}

const pageBytes = 4096;
const firstDataPage = 3;

interface PagePlan {
  readonly id: number;
  /** Pages it spans. */
  readonly pages: number;
  readonly elements: number;
  readonly firstKey: Uint8Array;
}

interface BucketPlan {
  readonly source: BucketSource;
  readonly leaves: readonly PagePlan[];
  /** From just above the leaves to the root. */
  readonly branches: readonly (readonly BranchPlan[])[];
  readonly root: number;
}

interface BranchPlan extends PagePlan {
  readonly children: readonly PagePlan[];
}

export interface BboltFile {
  readonly size: number;
  /** The file from first byte to last; a page (with what it spans) at a time. */
  pages(): Generator<Buffer>;
}

/** Pairs looked at in one turn of the event loop: a few milliseconds. */
const pairsPerTurn = 10_000;

/** @param buckets in ascending order of their names */
export function layOut(buckets: readonly BucketSource[]): BboltFile {
  return atOnce(layOutSteps(buckets));
}

/** As {@link layOut}, a slice each turn of the event loop. The pairs must stay as they are meanwhile. */
export function layOutInSlices(buckets: readonly BucketSource[]): Promise<BboltFile> {
  return inSlices(layOutSteps(buckets));
}

function* layOutSteps(buckets: readonly BucketSource[]): Generator<void, BboltFile> {
  let next = firstDataPage;
  const allocate = (pages: number) => {
    const id = next;
    next += pages;
    return id;
  };
  const plans: BucketPlan[] = [];
  for (const source of buckets) plans.push(yield* planBucket(source, allocate));
  const rootPairs = plans.map(({ source, root }) => ({ key: Buffer.from(source.name), value: bucketValue(root) }));
  const [root, ...more] = yield* planLeaves(rootPairs, allocate);
  if (root === undefined || more.length > 0) throw new RangeError('the root bucket must fit in one page');
  return {
    size: next * pageBytes,
    *pages() {
      const meta = { root: root.id, highWater: next };
      yield metaPage(0, meta);
      yield metaPage(1, meta);
      yield freelistPage();
      for (const plan of plans) yield* bucketPages(plan);
      yield leafPage(root, rootPairs, bucketFlag);
    },
  };
}

function* planBucket(source: BucketSource, allocate: (pages: number) => number): Generator<void, BucketPlan> {
  const leaves = yield* planLeaves(source.pairs(), allocate);
  const branches: BranchPlan[][] = [];
  let level: readonly PagePlan[] = leaves;
  while (level.length > 1) {
    const above = planBranches(level, allocate);
    branches.push(above);
    level = above;
  }
  return { source, leaves, branches, root: level[0]!.id };
}

/** An empty bucket is one empty leaf. */
function* planLeaves(pairs: Iterable<Pair>, allocate: (pages: number) => number): Generator<void, PagePlan[]> {
  const leaves: PagePlan[] = [];
  let firstKey: Uint8Array | undefined;
  let elements = 0;
  let bytes = pageHeaderBytes;
  let count = 0;
  const finish = () => {
    const pages = Math.ceil(bytes / pageBytes);
    leaves.push({ id: allocate(pages), pages, elements, firstKey: firstKey ?? new Uint8Array(0) });
  };
  for (const { key, value } of pairs) {
    if (++count % pairsPerTurn === 0) yield;
    const needed = elementBytes + key.length + value.length;
    if (elements > 0 && bytes + needed > pageBytes) {
      finish();
      firstKey = undefined;
      elements = 0;
      bytes = pageHeaderBytes;
    }
    // The caller may reuse the key's bytes.
    firstKey ??= Buffer.from(key);
    elements++;
    bytes += needed;
  }
  if (elements > 0 || leaves.length === 0) finish();
  return leaves;
}

function planBranches(children: readonly PagePlan[], allocate: (pages: number) => number): BranchPlan[] {
  const branches: BranchPlan[] = [];
  let group: PagePlan[] = [];
  let bytes = pageHeaderBytes;
  const finish = () => {
    const pages = Math.ceil(bytes / pageBytes);
    branches.push({
      id: allocate(pages),
      pages,
      elements: group.length,
      firstKey: group[0]!.firstKey,
      children: group,
    });
  };
  for (const child of children) {
    const needed = elementBytes + child.firstKey.length;
    // bbolt wants two children at least in every branch but the last.
    if (group.length >= 2 && bytes + needed > pageBytes) {
      finish();
      group = [];
      bytes = pageHeaderBytes;
    }
    group.push(child);
    bytes += needed;
  }
  finish();
  return branches;
}

function* bucketPages({ source, leaves, branches }: BucketPlan): Generator<Buffer> {
  const pairs = source.pairs()[Symbol.iterator]();
  for (const leaf of leaves) {
    const its: Pair[] = [];
    while (its.length < leaf.elements) its.push(pairs.next().value as Pair);
    yield leafPage(leaf, its, 0);
  }
  for (const level of branches) for (const branch of level) yield branchPage(branch);
}

function startPage(plan: PagePlan, flags: number): Buffer {
  const page = Buffer.alloc(plan.pages * pageBytes);
  writeHeader(page, plan.id, flags, plan.elements, plan.pages - 1);
  return page;
}

function writeHeader(page: Buffer, id: number, flags: number, count: number, overflow: number): void {
  page.writeBigUInt64LE(BigInt(id), 0);
  page.writeUInt16LE(flags, 8);
  page.writeUInt16LE(count, 10);
  page.writeUInt32LE(overflow, 12);
}

function leafPage(plan: PagePlan, pairs: readonly Pair[], flags: number): Buffer {
  const page = startPage(plan, PageFlag.leaf);
  let element = pageHeaderBytes;
  let data = pageHeaderBytes + pairs.length * elementBytes;
  for (const { key, value } of pairs) {
    page.writeUInt32LE(flags, element);
    page.writeUInt32LE(data - element, element + 4);
    page.writeUInt32LE(key.length, element + 8);
    page.writeUInt32LE(value.length, element + 12);
    page.set(key, data);
    page.set(value, data + key.length);
    element += elementBytes;
    data += key.length + value.length;
  }
  return page;
}

function branchPage(plan: BranchPlan): Buffer {
  const page = startPage(plan, PageFlag.branch);
  let element = pageHeaderBytes;
  let data = pageHeaderBytes + plan.children.length * elementBytes;
  for (const { id, firstKey } of plan.children) {
    page.writeUInt32LE(data - element, element);
    page.writeUInt32LE(firstKey.length, element + 4);
    page.writeBigUInt64LE(BigInt(id), element + 8);
    page.set(firstKey, data);
    element += elementBytes;
    data += firstKey.length;
  }
  return page;
}

function bucketValue(root: number): Buffer {
  const value = Buffer.alloc(bucketBytes);
  value.writeBigUInt64LE(BigInt(root), 0);
  return value;
}

/** Page 2: no page is free. */
function freelistPage(): Buffer {
  const page = Buffer.alloc(pageBytes);
  writeHeader(page, 2, PageFlag.freelist, 0, 0);
  return page;
}

/** Both metas name the same tree; the second is the newer one. */
function metaPage(id: 0 | 1, { root, highWater }: { readonly root: number; readonly highWater: number }): Buffer {
  const page = Buffer.alloc(pageBytes);
  writeHeader(page, id, PageFlag.meta, 0, 0);
  const at = pageHeaderBytes;
  page.writeUInt32LE(magic, at);
  page.writeUInt32LE(version, at + 4);
  page.writeUInt32LE(pageBytes, at + 8);
  page.writeBigUInt64LE(BigInt(root), at + 16);
  page.writeBigUInt64LE(2n, at + 32);
  page.writeBigUInt64LE(BigInt(highWater), at + 40);
  page.writeBigUInt64LE(BigInt(id), at + 48);
  page.writeBigUInt64LE(fnv64a(page.subarray(at, at + metaBytes)), at + metaBytes);
  return page;
}
