/**
 * Image records: names that point at content, per namespace as in containerd. Who pulls, imports or packs makes them; garbage collection
 * starts from them.
 */
import type { Descriptor } from '#api-oci/image-spec.ts';
import type { Clock } from '#std/clock.ts';
import { ContentError } from './error.ts';
import type { Json, MetadataStore } from './metadata-store.ts';

export interface ImageRecord {
  /** A full reference, or for the CRI also `sha256:...` of the configuration. */
  readonly name: string;
  /** The manifest or index. */
  readonly target: Descriptor;
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

export class ImageStore {
  readonly #metadata: MetadataStore;
  readonly #clock: Clock;
  readonly #bucket: string;

  constructor(metadata: MetadataStore, clock: Clock, namespace: string) {
    this.#metadata = metadata;
    this.#clock = clock;
    this.#bucket = `images/${namespace}`;
  }

  get(name: string): ImageRecord | undefined {
    const stored = this.#metadata.get(this.#bucket, name) as Omit<ImageRecord, 'name'> | undefined;
    return stored === undefined ? undefined : { name, ...stored };
  }

  list(): ImageRecord[] {
    return [...this.#metadata.entries(this.#bucket).keys()].map((name) => this.get(name)!);
  }

  /** Makes the record, or points it at `target` when it is there; labels are replaced. */
  async put(name: string, target: Descriptor, labels: Readonly<Record<string, string>> = {}): Promise<ImageRecord> {
    const now = this.#clock.now();
    const present = this.get(name);
    const stored = { target, labels, createdAt: present?.createdAt ?? now, updatedAt: now };
    await this.#metadata.commit([{ bucket: this.#bucket, key: name, value: stored as unknown as Json }]);
    return { name, ...stored };
  }

  async delete(name: string): Promise<void> {
    if (this.get(name) === undefined) throw new ContentError('NotFound', `image ${JSON.stringify(name)}: not found`);
    await this.#metadata.commit([{ bucket: this.#bucket, key: name, value: undefined }]);
  }
}
