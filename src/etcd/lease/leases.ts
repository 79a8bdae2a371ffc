/**
 * Which leases there are and which keys hang on them: the part of leases that all members agree on. When one expires is known
 * to `expiry.ts` alone.
 */
import { etcdError } from '#api-etcd/errors.ts';

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
  readonly keys: Set<string>;
}

export class Leases {
  /** Seconds: see {@link leaseTtlMin}. The same on all members that have the same election timeout. */
  ttlMin = leaseTtlMinDefault;
  readonly #byId = new Map<bigint, Lease>();
  readonly #byKey = new Map<string, Lease>();

  get(id: bigint): Lease | undefined {
    return this.#byId.get(id);
  }

  all(): IterableIterator<Lease> {
    return this.#byId.values();
  }

  /** @throws RpcError NotFound for id 0, OutOfRange for a TTL too large, FailedPrecondition for an id that is taken */
  grant(id: bigint, ttl: number): Lease {
    if (id === 0n) throw etcdError('leaseNotFound');
    if (ttl > leaseTtlMax) throw etcdError('leaseTtlTooLarge');
    if (this.#byId.has(id)) throw etcdError('leaseExists');
    const lease = { id, ttl: Math.max(ttl, this.ttlMin), keys: new Set<string>() };
    this.#byId.set(id, lease);
    return lease;
  }

  /** Forgets a lease. Its keys are the caller's to delete first. */
  remove(lease: Lease): void {
    for (const key of lease.keys) this.#byKey.delete(key);
    this.#byId.delete(lease.id);
  }

  /** The key hangs on the lease from now on (0 or one that is gone: on none). */
  attach(key: string, id: bigint): void {
    const before = this.#byKey.get(key);
    if (before !== undefined) {
      before.keys.delete(key);
      this.#byKey.delete(key);
    }
    const lease = id === 0n ? undefined : this.#byId.get(id);
    if (lease === undefined) return;
    lease.keys.add(key);
    this.#byKey.set(key, lease);
  }

  fork(): Leases {
    const fork = new Leases();
    fork.ttlMin = this.ttlMin;
    for (const { id, ttl, keys } of this.#byId.values()) {
      const lease = { id, ttl, keys: new Set(keys) };
      fork.#byId.set(id, lease);
      for (const key of keys) fork.#byKey.set(key, lease);
    }
    return fork;
  }
}
