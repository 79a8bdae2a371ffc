/**
 * A B+ tree from strings to values that forks in constant time. A node belongs to the tree that made it; another tree that shares it copies it before writing,
 * so that no operation copies more than a path from the root. (`mvcc/key-tree.ts` is the one for keys, which also counts what is alive.)
 */

const entriesMax = 64;

/** Whoever may write to a node in place. */
type Owner = object;

interface Leaf<V> {
  readonly owner: Owner;
  readonly children: undefined;
  readonly keys: string[];
  readonly values: V[];
}

/** `keys[i]` is the least key of `children[i + 1]` or before it. */
interface Branch<V> {
  readonly owner: Owner;
  readonly keys: string[];
  readonly children: Node<V>[];
}

type Node<V> = Leaf<V> | Branch<V>;

export class SharedTree<V> {
  /** Itself, until it has been forked. */
  #owner: Owner = this;
  #root: Node<V> = { owner: this.#owner, children: undefined, keys: [], values: [] };
  size = 0;

  /** Both trees go on as if they were copies. */
  fork(): SharedTree<V> {
    const fork = new SharedTree<V>();
    fork.#root = this.#root;
    fork.size = this.size;
    this.#owner = {};
    return fork;
  }

  get(key: string): V | undefined {
    let node = this.#root;
    while (node.children !== undefined) node = node.children[after(node.keys, key)]!;
    const at = before(node.keys, key);
    return node.keys[at] === key ? node.values[at] : undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  set(key: string, value: V): void {
    this.#root = this.#own(this.#root);
    const split = this.#insert(this.#root, key, value);
    if (split !== undefined) this.#root = { owner: this.#owner, keys: [split.key], children: [this.#root, split.node] };
  }

  delete(key: string): void {
    if (this.get(key) === undefined) return;
    this.#root = this.#own(this.#root);
    this.#remove(this.#root, key);
    while (this.#root.children?.length === 1) this.#root = this.#root.children[0]!;
  }

  /** In order. The tree must not change meanwhile. */
  *keys(): Generator<string> {
    for (const leaf of leavesOf(this.#root)) yield* leaf.keys;
  }

  /** In order of keys. The tree must not change meanwhile. */
  *values(): Generator<V> {
    for (const leaf of leavesOf(this.#root)) yield* leaf.values;
  }

  #own<N extends Node<V>>(node: N): N {
    if (node.owner === this.#owner) return node;
    const copy =
      node.children === undefined
        ? { owner: this.#owner, children: undefined, keys: node.keys.slice(), values: node.values.slice() }
        : { owner: this.#owner, keys: node.keys.slice(), children: node.children.slice() };
    return copy as unknown as N;
  }

  /** Puts a value into an owned node. Gives the right half when the node had to be split. */
  #insert(node: Node<V>, key: string, value: V): { readonly key: string; readonly node: Node<V> } | undefined {
    if (node.children === undefined) {
      const at = before(node.keys, key);
      if (node.keys[at] === key) {
        node.values[at] = value;
        return undefined;
      }
      node.keys.splice(at, 0, key);
      node.values.splice(at, 0, value);
      this.size++;
      if (node.keys.length <= entriesMax) return undefined;
      // Keys that come in order fill their nodes.
      const middle = at === node.keys.length - 1 ? at : node.keys.length >> 1;
      const keys = node.keys.splice(middle);
      return {
        key: keys[0]!,
        node: { owner: this.#owner, children: undefined, keys, values: node.values.splice(middle) },
      };
    }
    const at = after(node.keys, key);
    const child = this.#own(node.children[at]!);
    node.children[at] = child;
    const split = this.#insert(child, key, value);
    if (split === undefined) return undefined;
    node.keys.splice(at, 0, split.key);
    node.children.splice(at + 1, 0, split.node);
    if (node.children.length <= entriesMax) return undefined;
    const middle = at === node.keys.length - 1 ? node.children.length - 2 : node.children.length >> 1;
    const children = node.children.splice(middle);
    const right: Branch<V> = { owner: this.#owner, keys: node.keys.splice(middle), children };
    return { key: node.keys.pop()!, node: right };
  }

  /** Takes a key that is there out of an owned node. Empty nodes go; thin ones stay. */
  #remove(node: Node<V>, key: string): void {
    if (node.children === undefined) {
      const at = before(node.keys, key);
      node.keys.splice(at, 1);
      node.values.splice(at, 1);
      this.size--;
      return;
    }
    const at = after(node.keys, key);
    const child = this.#own(node.children[at]!);
    node.children[at] = child;
    this.#remove(child, key);
    const isEmpty = child.children === undefined ? child.keys.length === 0 : child.children.length === 0;
    if (!isEmpty || node.children.length === 1) return;
    node.children.splice(at, 1);
    node.keys.splice(at === 0 ? 0 : at - 1, 1);
  }
}

function* leavesOf<V>(node: Node<V>): Generator<Leaf<V>> {
  if (node.children === undefined) yield node;
  else for (const child of node.children) yield* leavesOf(child);
}

/** First index whose key is not before `key`. */
function before(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** First index whose key is after `key`: the child that holds it. */
function after(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
