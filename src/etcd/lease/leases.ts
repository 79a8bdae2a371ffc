/**
 * Which leases there are and which keys hang on them: the part of leases that all members agree on. When one expires is known
 * to `expiry.ts` alone.
 */
import { etcdError } from '#api-etcd/errors.ts';
import { SharedTree } from '#std/shared-tree.ts';

/**
 * Seconds. A lease must outlive the election of a new leader, which gives it its whole time again: 1.5 election timeouts, rounded up, as
 * upstream.
 */
export function leaseTtlMin(electionTimeoutMs: number): number {
  return Math.ceil((1.5 * electionTimeoutMs) / 1000);
}

/** For upstream's default timeout of a second. */
const leaseTtlMinDefault = 2;
/** Seconds. Upstream's: about 285 years. */
export const leaseTtlMax = 9_000_000_000;

export interface Lease {
  readonly id: bigint;
  /** Seconds granted, never under {@link Leases.ttlMin}. */
  readonly ttl: number;
  /** In order. */
  readonly keys: Iterable<string>;
}

/** Whoever may change a lease's keys in place: as in the trees, what another owner shares is copied first. */
type Owner = object;

class OwnedLease implements Lease {
  readonly id: bigint;
  readonly ttl: number;
  readonly owner: Owner;
  readonly tree: SharedTree<true>;

  constructor(id: bigint, ttl: number, owner: Owner, tree: SharedTree<true>) {
    this.id = id;
    this.ttl = ttl;
    this.owner = owner;
    this.tree = tree;
  }

  get keys(): Iterable<string> {
    return this.tree.keys();
  }
}

export class Leases {
  /** Seconds: see {@link leaseTtlMin}. The same on all members that have the same election timeout. */
  ttlMin = leaseTtlMinDefault;
  #owner: Owner = {};
  #byId = new SharedTree<OwnedLease>();
  /** The id of the lease that each key hangs on. */
  #idOfKey = new SharedTree<bigint>();

  get(id: bigint): Lease | undefined {
    return this.#byId.get(nameOf(id));
  }

  all(): Iterable<Lease> {
    return this.#byId.values();
  }

  /** @throws RpcError NotFound for id 0, OutOfRange for a TTL too large, FailedPrecondition for an id that is taken */
  grant(id: bigint, ttl: number): Lease {
    if (id === 0n) throw etcdError('leaseNotFound');
    if (ttl > leaseTtlMax) throw etcdError('leaseTtlTooLarge');
    if (this.#byId.has(nameOf(id))) throw etcdError('leaseExists');
    const lease = new OwnedLease(id, Math.max(ttl, this.ttlMin), this.#owner, new SharedTree());
    this.#byId.set(nameOf(id), lease);
    return lease;
  }

  /** Forgets a lease. Its keys are the caller's to delete first. */
  remove({ id, keys }: Lease): void {
    for (const key of keys) this.#idOfKey.delete(key);
    this.#byId.delete(nameOf(id));
  }

  /** The key hangs on the lease from now on (0 or one that is gone: on none). */
  attach(key: string, id: bigint): void {
    const before = this.#idOfKey.get(key);
    if (before === id) return;
    if (before !== undefined) this.#own(before)?.tree.delete(key);
    const lease = id === 0n ? undefined : this.#own(id);
    if (lease === undefined) {
      this.#idOfKey.delete(key);
      return;
    }
    lease.tree.set(key, true);
    this.#idOfKey.set(key, id);
  }

  /** Constant time, however many leases there are and keys hang on them. Both go on as if they were copies. */
  fork(): Leases {
    const fork = new Leases();
    fork.ttlMin = this.ttlMin;
    fork.#byId = this.#byId.fork();
    fork.#idOfKey = this.#idOfKey.fork();
    this.#owner = {};
    return fork;
  }

  /** A lease whose keys may be changed. */
  #own(id: bigint): OwnedLease | undefined {
    const lease = this.#byId.get(nameOf(id));
    if (lease === undefined || lease.owner === this.#owner) return lease;
    const own = new OwnedLease(id, lease.ttl, this.#owner, lease.tree.fork());
    this.#byId.set(nameOf(id), own);
    return own;
  }
}

function nameOf(id: bigint): string {
  return id.toString(16);
}
