/**
 * Bytes made once for all who read them: a watch event's line, an object in another version or serializer. Bounded in bytes; what is
 * forgotten is made again. Keyed by the change or the stored object itself, so a new revision never meets old bytes.
 */
const bytesMaxDefault = 32 << 20;

export class EncodedMemo {
  readonly #bytesMax: number;
  readonly #made = new Map<object, Map<string, Buffer>>();
  #bytes = 0;

  constructor(bytesMax = bytesMaxDefault) {
    this.#bytesMax = bytesMax;
  }

  /** @param variant event type, apiVersion (groups share objects, too) and serializer: whatever else the bytes depend on */
  of(owner: object, variant: string, make: () => Buffer): Buffer {
    let variants = this.#made.get(owner);
    const known = variants?.get(variant);
    if (known !== undefined) return known;
    const bytes = make();
    if (variants === undefined) {
      variants = new Map();
      this.#made.set(owner, variants);
    }
    variants.set(variant, bytes);
    this.#bytes += bytes.length;
    if (this.#bytes > this.#bytesMax) this.#forget();
    return bytes;
  }

  /** The oldest go first: the newest changes are what watchers ask for. */
  #forget(): void {
    for (const [owner, variants] of this.#made) {
      this.#made.delete(owner);
      for (const bytes of variants.values()) this.#bytes -= bytes.length;
      if (this.#bytes <= this.#bytesMax) return;
    }
  }
}
