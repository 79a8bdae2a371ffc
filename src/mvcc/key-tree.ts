/**
 * The index: a B+ tree from keys to their newest versions, that forks in constant time. A node belongs to the tree that made it;
 * another tree that shares it copies it before writing. Each node counts the live keys below it, so that counting a range of
 * the current revision costs a walk down two edges.
 */
import { assert } from '#std/assert.ts';
import type { Version } from './version.ts';

const entriesMax = 64;

/** Whoever may write to a node in place. */
type Owner = object;

interface Leaf {
  readonly owner: Owner;
  readonly children: undefined;
  readonly keys: string[];
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

  constructor() {
    this.#root = { owner: this.#owner, children: undefined, keys: [], heads: [], live: 0 };
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
    const at = lowerBound(node.keys, key);
    return node.keys[at] === key ? node.heads[at] : undefined;
  }

  set(head: Version): void {
    this.#root = this.#own(this.#root);
    const split = this.#insert(this.#root, head);
    if (split === undefined) return;
    const live = this.#root.live + split.node.live;
    this.#root = { owner: this.#owner, keys: [split.key], children: [this.#root, split.node], live };
  }

  delete(key: string): void {
    this.#root = this.#own(this.#root);
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
        ? { ...node, owner: this.#owner, keys: node.keys.slice(), heads: node.heads.slice() }
        : { ...node, owner: this.#owner, keys: node.keys.slice(), children: node.children.slice() };
    return copy as N;
  }

  /** Puts a head into an owned node. Gives the right half when the node had to be split. */
  #insert(node: Node, head: Version): { key: string; node: Node } | undefined {
    const { key } = head;
    if (node.children === undefined) {
      const at = lowerBound(node.keys, key);
      if (node.keys[at] === key) {
        node.live += liveOf(head) - liveOf(node.heads[at]!);
        node.heads[at] = head;
        return undefined;
      }
      node.keys.splice(at, 0, key);
      node.heads.splice(at, 0, head);
      node.live += liveOf(head);
      this.size++;
      if (node.keys.length <= entriesMax) return undefined;
      // Keys that come in order fill their nodes.
      const middle = at === node.keys.length - 1 ? at : node.keys.length >> 1;
      const heads = node.heads.splice(middle);
      const right: Leaf = {
        owner: this.#owner,
        children: undefined,
        keys: node.keys.splice(middle),
        heads,
        live: heads.reduce((live, version) => live + liveOf(version), 0),
      };
      node.live -= right.live;
      return { key: right.keys[0]!, node: right };
    }
    const at = childIndex(node.keys, key);
    const child = this.#own(node.children[at]!);
    node.children[at] = child;
    const before = child.live;
    const split = this.#insert(child, head);
    node.live += child.live - before;
    if (split === undefined) return undefined;
    node.live += split.node.live;
    node.keys.splice(at, 0, split.key);
    node.children.splice(at + 1, 0, split.node);
    if (node.children.length <= entriesMax) return undefined;
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
      const at = lowerBound(node.keys, key);
      assert(node.keys[at] === key, 'a key that is removed is there');
      node.live -= liveOf(node.heads[at]!);
      node.keys.splice(at, 1);
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
    const empty = child.children === undefined ? child.keys.length === 0 : child.children.length === 0;
    if (!empty || node.children.length === 1) return;
    node.children.splice(at, 1);
    node.keys.splice(at === 0 ? 0 : at - 1, 1);
  }
}

function liveOf(head: Version): number {
  return head.tombstone ? 0 : 1;
}

/** First index whose key is not before `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
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
    const { keys, heads } = node;
    for (let i = lowerBound(keys, from); i < keys.length; i++) {
      if (to !== undefined && keys[i]! >= to) return false;
      if (!visit(heads[i]!)) return false;
    }
    return true;
  }
  const { keys, children } = node;
  for (let i = childIndex(keys, from); i < children.length; i++) {
    if (i > 0 && to !== undefined && keys[i - 1]! >= to) return false;
    if (!scanNode(children[i]!, from, to, visit)) return false;
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
  const at = lowerBound(node.keys, key);
  for (let i = 0; i < at; i++) live += liveOf(node.heads[i]!);
  return live;
}
