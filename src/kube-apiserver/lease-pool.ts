/** Leases of etcd for objects that disappear by themselves: objects written about the same time share one. Source: etcd3 leaseManager. */
import type { EtcdClient } from '#etcd-client/client.ts';
import type { Clock } from '#std/clock.ts';

/** A lease serves objects written within so many seconds, or this share of the time to live, whichever is less. */
const reuseSeconds = 60;
const reuseShare = 0.05;
const objectsMax = 1000;

export class LeasePool {
  readonly #etcd: EtcdClient;
  readonly #clock: Clock;
  readonly #byTtl = new Map<number, { readonly id: Promise<bigint>; readonly untilMs: number; objects: number }>();

  constructor(etcd: EtcdClient, clock: Clock) {
    this.#etcd = etcd;
    this.#clock = clock;
  }

  /** A lease that ends `ttlSeconds` from now or a little later. */
  leaseFor(ttlSeconds: number): Promise<bigint> {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#byTtl.get(ttlSeconds);
    if (known !== undefined && nowMs < known.untilMs && known.objects < objectsMax) {
      known.objects++;
      return known.id;
    }
    const window = Math.min(reuseSeconds, ttlSeconds * reuseShare);
    const id = this.#etcd.leaseGrant({ ttl: Math.ceil(ttlSeconds + window) }).then((lease) => lease.id);
    const entry = { id, untilMs: nowMs + window * 1000, objects: 1 };
    this.#byTtl.set(ttlSeconds, entry);
    // A failed grant is not kept; who asked gets the error.
    id.catch(() => {
      if (this.#byTtl.get(ttlSeconds) === entry) this.#byTtl.delete(ttlSeconds);
    });
    return id;
  }
}
