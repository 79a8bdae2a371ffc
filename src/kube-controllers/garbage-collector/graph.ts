/**
 * Who owns whom, over all kinds: nodes by uid, edges from owner references. An owner that nobody has seen yet is a virtual node, to be
 * looked up. Says what has to be looked at after every change; pure.
 */
import type { ApiObject } from '#kube-client/resource-ref.ts';
import type { OwnerReference } from '#kube-client/types/meta.ts';

export const foregroundFinalizer = 'foregroundDeletion';
export const orphanFinalizer = 'orphan';

export interface Identity {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface GraphNode {
  readonly uid: string;
  identity: Identity;
  owners: readonly OwnerReference[];
  readonly dependents: Set<GraphNode>;
  /** Known only from a dependent's reference. */
  virtual: boolean;
  beingDeleted: boolean;
  /** Waits, with its finalizer, until its dependents are gone. */
  deletingDependents: boolean;
  /** Waits, with its finalizer, until its dependents have let go of it. */
  orphaning: boolean;
}

/** What to look at next, by uid. */
export interface Attention {
  attemptToDelete(uid: string): void;
  attemptToOrphan(uid: string): void;
}

export class OwnerGraph {
  readonly #nodes = new Map<string, GraphNode>();
  readonly #attention: Attention;

  constructor(attention: Attention) {
    this.#attention = attention;
  }

  get size(): number {
    return this.#nodes.size;
  }

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  /** An object was seen: new, or in a new state. */
  observed(object: ApiObject): void {
    const { metadata } = object;
    const uid = metadata.uid!;
    const owners = metadata.ownerReferences ?? [];
    let node = this.#nodes.get(uid);
    if (node === undefined) {
      node = {
        uid,
        identity: identityOf(object),
        owners: [],
        dependents: new Set(),
        virtual: false,
        beingDeleted: false,
        deletingDependents: false,
        orphaning: false,
      };
      this.#nodes.set(uid, node);
    } else if (node.virtual) {
      node.virtual = false;
      node.identity = identityOf(object);
    }
    this.#setOwners(node, owners);
    node.beingDeleted = metadata.deletionTimestamp !== undefined;
    const has = (finalizer: string) => node.beingDeleted && (metadata.finalizers?.includes(finalizer) ?? false);
    if (has(orphanFinalizer) && !node.orphaning) {
      node.orphaning = true;
      this.#attention.attemptToOrphan(uid);
    }
    if (has(foregroundFinalizer) && !node.deletingDependents) {
      node.deletingDependents = true;
      for (const dependent of node.dependents) this.#attention.attemptToDelete(dependent.uid);
      this.#attention.attemptToDelete(uid);
    }
  }

  /** An object is gone, or never was. */
  removed(uid: string): void {
    const node = this.#nodes.get(uid);
    if (node === undefined) return;
    this.#nodes.delete(uid);
    for (const { uid: ownerUid } of node.owners) {
      const owner = this.#nodes.get(ownerUid);
      if (owner === undefined) continue;
      owner.dependents.delete(node);
      // One less to wait for.
      if (owner.deletingDependents) this.#attention.attemptToDelete(ownerUid);
    }
    for (const dependent of node.dependents) this.#attention.attemptToDelete(dependent.uid);
  }

  #setOwners(node: GraphNode, owners: readonly OwnerReference[]): void {
    const before = new Map(node.owners.map((reference) => [reference.uid, reference]));
    node.owners = owners;
    for (const reference of owners) {
      const known = before.get(reference.uid);
      before.delete(reference.uid);
      const owner = this.#nodes.get(reference.uid) ?? this.#virtualOwner(node, reference);
      owner.dependents.add(node);
      const released = known?.blockOwnerDeletion === true && reference.blockOwnerDeletion !== true;
      if (owner.deletingDependents && (known === undefined || released)) {
        this.#attention.attemptToDelete(owner.uid);
        this.#attention.attemptToDelete(node.uid);
      }
    }
    for (const { uid } of before.values()) {
      const owner = this.#nodes.get(uid);
      if (owner === undefined) continue;
      owner.dependents.delete(node);
      if (owner.deletingDependents) this.#attention.attemptToDelete(uid);
    }
  }

  /** The reference may be to something that never was: somebody has to look. */
  #virtualOwner(dependent: GraphNode, { apiVersion, kind, name, uid }: OwnerReference): GraphNode {
    const owner: GraphNode = {
      uid,
      identity: { apiVersion, kind, name, uid, namespace: dependent.identity.namespace },
      owners: [],
      dependents: new Set(),
      virtual: true,
      beingDeleted: false,
      deletingDependents: false,
      orphaning: false,
    };
    this.#nodes.set(uid, owner);
    this.#attention.attemptToDelete(uid);
    return owner;
  }
}

function identityOf({ apiVersion = '', kind = '', metadata }: ApiObject): Identity {
  return { apiVersion, kind, name: metadata.name, namespace: metadata.namespace ?? '', uid: metadata.uid! };
}

/** True for a dependent that its owner, deleted in the foreground, has to wait for. */
export function blocks(dependent: GraphNode, ownerUid: string): boolean {
  return dependent.owners.some(({ uid, blockOwnerDeletion }) => uid === ownerUid && blockOwnerDeletion === true);
}
