/**
 * The index: a B+ tree from keys to their newest versions, that forks in constant time. A node belongs to the tree that made it;
 * another tree that shares it copies it before writing. Each node counts the live keys below it, so that counting a range of
 * the current revision costs a walk down two edges. Leaves have no keys: those stand in the records.
 */
import { assert } from '#std/assert.ts';
import { keyLength, type Version } from './version.ts';

const childrenMax = 64;
/** Fewer: to find a key among them, records are read. */
const headsMax = 32;

/** Whoever may write to a node in place. */
type Owner = object;

interface Leaf {
  readonly owner: Owner;
  readonly children: undefined;
  readonly heads: Version[];
  live: number;
}

/** `keys[i]` is the least key of `children[i + 1]` or before it. */
interface Branch {
  readonly owner: Owner;
  readonly keys: string[];
  readonly children: Node[];
  live: number;
}

type Node = Leaf | Branch;

export class KeyTree {
  #owner: Owner = {};
  #root: Node;
  /** Keys in the tree, those whose newest version is a tombstone too. */
  size = 0;
  /** Where {@link get} has last looked, as long as nothing has changed: whoever sets a key has asked for it just before. */
  #seenLeaf: Leaf | undefined;
  #seenKey = '';
  #seenAt = 0;

  constructor() {
    this.#root = { owner: this.#owner, children: undefined, heads: [], live: 0 };
  }

  /** Both trees go on as if they were copies. */
  fork(): KeyTree {
    const fork = new KeyTree();
    fork.#root = this.#root;
    fork.size = this.size;
    this.#owner = {};
    return fork;
  }

  get(key: string): Version | undefined {
    let node = this.#root;
    while (node.children !== undefined) node = node.children[childIndex(node.keys, key)]!;
    const at = find(node.heads, key);
    this.#seenLeaf = node;
    this.#seenKey = key;
    this.#seenAt = at;
    return at < 0 ? undefined : node.heads[at];
  }

  /** @param key the head's */
  set(key: string, head: Version): void {
    this.#root = this.#own(this.#root);
    const split = this.#insert(this.#root, key, head);
    this.#seenLeaf = undefined;
    if (split === undefined) return;
    const live = this.#root.live + split.node.live;
    this.#root = { owner: this.#owner, keys: [split.key], children: [this.#root, split.node], live };
  }

  delete(key: string): void {
    this.#root = this.#own(this.#root);
    this.#seenLeaf = undefined;
    this.#remove(this.#root, key);
    while (this.#root.children?.length === 1) this.#root = this.#root.children[0]!;
  }

  /** Visits the newest versions of `[from, to)` in order, tombstones too; `to` undefined is no end. Stops when `visit` says false. */
  scan(from: string, to: string | undefined, visit: (head: Version) => boolean): void {
    scanNode(this.#root, from, to, visit);
  }

  /** Live keys of `[from, to)` at the newest revision. */
  countLive(from: string, to: string | undefined): number {
    if (to === undefined) return this.#root.live - liveBefore(this.#root, from);
    return to <= from ? 0 : liveBefore(this.#root, to) - liveBefore(this.#root, from);
  }

  #own<N extends Node>(node: N): N {
    if (node.owner === this.#owner) return node;
    const copy =
      node.children === undefined
        ? { ...node, owner: this.#owner, heads: node.heads.slice() }
        : { ...node, owner: this.#owner, keys: node.keys.slice(), children: node.children.slice() };
    return copy as N;
  }

  /** Puts a head into an owned node. Gives the right half when the node had to be split. */
  #insert(node: Node, key: string, head: Version): { key: string; node: Node } | undefined {
    if (node.children === undefined) {
      const { heads } = node;
      const found = node === this.#seenLeaf && key === this.#seenKey ? this.#seenAt : find(heads, key);
      if (found >= 0) {
        node.live += liveOf(head) - liveOf(heads[found]!);
        heads[found] = head;
        return undefined;
      }
      const at = ~found;
      heads.splice(at, 0, head);
      node.live += liveOf(head);
      this.size++;
      if (heads.length <= headsMax) return undefined;
      // Keys that come in order fill their nodes.
      const right = heads.splice(at === heads.length - 1 ? at : heads.length >> 1);
      const live = right.reduce((sum, version) => sum + liveOf(version), 0);
      node.live -= live;
      return { key: right[0]!.key, node: { owner: this.#owner, children: undefined, heads: right, live } };
    }
    const at = childIndex(node.keys, key);
    const child = this.#own(node.children[at]!);
    node.children[at] = child;
    const before = child.live;
    const split = this.#insert(child, key, head);
    node.live += child.live - before;
    if (split === undefined) return undefined;
    node.live += split.node.live;
    node.keys.splice(at, 0, split.key);
    node.children.splice(at + 1, 0, split.node);
    if (node.children.length <= childrenMax) return undefined;
    const middle = at === node.keys.length - 1 ? node.children.length - 2 : node.children.length >> 1;
    const children = node.children.splice(middle);
    const keys = node.keys.splice(middle);
    const right: Branch = {
      owner: this.#owner,
      keys,
      children,
      live: children.reduce((live, { live: below }) => live + below, 0),
    };
    node.live -= right.live;
    return { key: node.keys.pop()!, node: right };
  }

  /** Takes a key out of an owned node. Empty nodes go; thin ones stay. */
  #remove(node: Node, key: string): void {
    if (node.children === undefined) {
      const at = find(node.heads, key);
      assert(at >= 0, 'a key that is removed is there');
      node.live -= liveOf(node.heads[at]!);
      node.heads.splice(at, 1);
      this.size--;
      return;
    }
    const at = childIndex(node.keys, key);
    const child = this.#own(node.children[at]!);
    node.children[at] = child;
    const before = child.live;
    this.#remove(child, key);
    node.live += child.live - before;
    const empty = child.children === undefined ? child.heads.length === 0 : child.children.length === 0;
    if (!empty || node.children.length === 1) return;
    node.children.splice(at, 1);
    node.keys.splice(at === 0 ? 0 : at - 1, 1);
  }
}

function liveOf(head: Version): number {
  return head.tombstone ? 0 : 1;
}

/**
 * Where the version of a key stands among heads in order; when it is not there, the bitwise complement of where it would. What
 * a key shares with those on both sides of where it must stand, it shares with all between: that much is not compared again.
 */
function find(heads: readonly Version[], key: string): number {
  let low = 0;
  let high = heads.length;
  let sharedLow = 0;
  let sharedHigh = 0;
  while (low < high) {
    const middle = (low + high) >> 1;
    const head = heads[middle]!;
    const { bytes } = head.segment;
    const start = head.keyStart;
    const length = keyLength(bytes, start);
    const most = Math.min(length, key.length);
    let shared = Math.min(sharedLow, sharedHigh);
    while (shared < most && bytes[start + shared] === key.charCodeAt(shared)) shared++;
    const order = shared < most ? bytes[start + shared]! - key.charCodeAt(shared) : length - key.length;
    if (order === 0) return middle;
    if (order < 0) {
      low = middle + 1;
      sharedLow = shared;
    } else {
      high = middle;
      sharedHigh = shared;
    }
  }
  return ~low;
}

/** First index whose key is not before `key`. */
function lowerBound(heads: readonly Version[], key: string): number {
  if (key === '') return 0;
  const found = find(heads, key);
  return found < 0 ? ~found : found;
}

/** The child that holds `key`. */
function childIndex(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function scanNode(node: Node, from: string, to: string | undefined, visit: (head: Version) => boolean): boolean {
  if (node.children === undefined) {
    const { heads } = node;
    const end = to === undefined ? heads.length : lowerBound(heads, to);
    for (let i = lowerBound(heads, from); i < end; i++) if (!visit(heads[i]!)) return false;
    return end === heads.length;
  }
  const { keys, children } = node;
  const first = childIndex(keys, from);
  for (let i = first; i < children.length; i++) {
    if (i > 0 && to !== undefined && keys[i - 1]! >= to) return false;
    // Only the children at the edges have to look where the range begins and ends.
    const isBeforeEnd = i < keys.length && to !== undefined && keys[i]! <= to;
    if (!scanNode(children[i]!, i === first ? from : '', isBeforeEnd ? undefined : to, visit)) return false;
  }
  return true;
}

/** Live keys below `key`. */
function liveBefore(root: Node, key: string): number {
  let node = root;
  let live = 0;
  while (node.children !== undefined) {
    const at = childIndex(node.keys, key);
    for (let i = 0; i < at; i++) live += node.children[i]!.live;
    node = node.children[at]!;
  }
  const at = lowerBound(node.heads, key);
  for (let i = 0; i < at; i++) live += liveOf(node.heads[i]!);
  return live;
}
