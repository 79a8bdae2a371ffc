/** Remembers what a controller wrote, so that it does not decide again on a copy that does not hold it yet. */

import type { ApiObject } from '#kube-client/resource-ref.ts';
import { keyOf } from '#kube-client/resource-ref.ts';
import type { Clock } from '#std/clock.ts';

/** A write that is not seen for this long is not waited for any more. */
export const unseenMaxMs = 30_000;

export class WriteTracker {
  readonly #clock: Clock;
  /** By owner, then by the object's key. */
  readonly #writes = new Map<string, Map<string, { readonly resourceVersion: bigint; readonly atMs: number }>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wrote(owner: string, object: ApiObject): void {
    let writes = this.#writes.get(owner);
    if (writes === undefined) {
      writes = new Map();
      this.#writes.set(owner, writes);
    }
    writes.set(keyOf(object), {
      resourceVersion: BigInt(object.metadata.resourceVersion ?? 0),
      atMs: this.#clock.monotonicMs(),
    });
  }

  /** Does the copy hold all that was written for this owner? Resource versions of one resource compare as numbers. */
  seen(owner: string, versionOf: (key: string) => string | undefined): boolean {
    const writes = this.#writes.get(owner);
    if (writes === undefined) return true;
    for (const [key, { resourceVersion, atMs }] of writes) {
      const version = versionOf(key);
      if (version !== undefined && BigInt(version) >= resourceVersion) writes.delete(key);
      else if (this.#clock.monotonicMs() - atMs > unseenMaxMs) writes.delete(key);
    }
    if (writes.size === 0) this.#writes.delete(owner);
    return writes.size === 0;
  }

  /** The object was seen to go. */
  gone(key: string): void {
    for (const writes of this.#writes.values()) writes.delete(key);
  }

  forget(owner: string): void {
    this.#writes.delete(owner);
  }
}
