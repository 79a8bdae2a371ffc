/**
 * The JSON of an object, made once for all who read it: GET, LIST and every watch copy the same bytes. Bounded in bytes; what is
 * forgotten is made again. Keyed by the object itself, so a new revision never meets old bytes.
 */
import type { KubeObject } from '../object.ts';

const bytesMaxDefault = 32 << 20;

export class JsonMemo {
  readonly #bytesMax: number;
  readonly #made = new Map<KubeObject, Buffer>();
  #bytes = 0;

  constructor(bytesMax = bytesMaxDefault) {
    this.#bytesMax = bytesMax;
  }

  /** Compact JSON, `kind` and `apiVersion` first. */
  of(object: KubeObject): Buffer {
    const known = this.#made.get(object);
    if (known !== undefined) return known;
    const bytes = jsonOf(object);
    this.#made.set(object, bytes);
    this.#bytes += bytes.length;
    // The oldest go first: the newest revisions are what readers ask for.
    for (const [key, value] of this.#made) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#made.delete(key);
      this.#bytes -= value.length;
    }
    return bytes;
  }

  /** The same without `kind` and `apiVersion`, as items of a list are written after their opening brace. */
  itemTail(object: KubeObject): Buffer {
    return this.of(object).subarray(headLength(object));
  }
}

/** Not kept; for objects that are read once. */
export function jsonOf(object: KubeObject): Buffer {
  const { kind, apiVersion, ...rest } = object;
  return Buffer.from(JSON.stringify({ kind, apiVersion, ...rest }));
}

/** Bytes before the first field after `kind` and `apiVersion`; both are ASCII. */
function headLength({ kind, apiVersion }: KubeObject): number {
  return `{"kind":"${kind}","apiVersion":"${apiVersion}",`.length;
}
