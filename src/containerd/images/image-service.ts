/**
 * Images of one namespace, as the CRI and `wherry image` use them: pull, import, pack, list, find, remove. Every client sees the same
 * images: records are made as the CRI's are, by tag, by digest and by id.
 */
import type { Digest } from '#api-oci/digest.ts';
import type { Descriptor, ImageConfig } from '#api-oci/image-spec.ts';
import { readPieces } from '#host/append-file.ts';
import { ContentError } from '#image/error.ts';
import type { ImageRecord } from '#image/image-store.ts';
import { type PackEntry, packImage } from '#image/pack.ts';
import { formatReference, parseReference, type Reference } from '#image/reference.ts';
import type { RegistryAuth } from '#image/remote/repository.ts';
import { collectGarbage, removeHalfUnpacked } from './garbage.ts';
import { type ImageDeps, Label } from './image-deps.ts';
import { importImages, unpackLocal } from './import.ts';
import { type LocalImage, readLocalImage } from './local-image.ts';
import { pullImage } from './pull.ts';

/** An image with all its names. */
export interface NamedImage extends LocalImage {
  /** `docker.io/library/busybox:1`. */
  readonly tags: readonly string[];
  /** `docker.io/library/busybox@sha256:...`. */
  readonly digests: readonly string[];
  readonly pinned: boolean;
}

interface SharedPull {
  readonly image: Promise<NamedImage>;
  readonly cancel: AbortController;
  /** Callers that have not given up. */
  waiting: number;
}

const pinnedLabel = 'io.cri-containerd.pinned';
const idPrefixGrammar = /^(?:sha256:)?[0-9a-f]{6,64}$/;

export class ImageService {
  readonly deps: ImageDeps;
  /** By manifest or index digest: reading an image takes three files. */
  readonly #read = new Map<Digest, Promise<LocalImage>>();
  readonly #pulls = new Map<string, SharedPull>();
  #users = 0;
  #collecting: Promise<unknown> = Promise.resolve();

  constructor(deps: ImageDeps) {
    this.deps = deps;
  }

  /** After a start: takes away what a crash left. */
  async recover(): Promise<void> {
    await removeHalfUnpacked(this.deps);
    await this.deps.snapshots.cleanup();
    await this.deps.content.reconcile();
  }

  /** Every image, with its names. Images that cannot be read (for another machine, say) are left out. */
  async list(): Promise<NamedImage[]> {
    const byId = new Map<Digest, { image: LocalImage; records: ImageRecord[] }>();
    for (const record of this.deps.images.list()) {
      const image = await this.#readable(record.target);
      if (image === undefined) continue;
      const entry = byId.get(image.id);
      if (entry === undefined) byId.set(image.id, { image, records: [record] });
      else entry.records.push(record);
    }
    return [...byId.values()].map(({ image, records }) => named(image, records));
  }

  /** The image of a reference, an id (`sha256:...`), or a unique beginning of an id; undefined when there is none. */
  async find(text: string): Promise<NamedImage | undefined> {
    const id = await this.#resolveId(text);
    return id === undefined ? undefined : (await this.list()).find((image) => image.id === id);
  }

  /** Pulls and gives back the image. Pulls of one reference at the same time are one pull. */
  pull(
    text: string,
    options: { readonly auth?: RegistryAuth; readonly signal?: AbortSignal } = {},
  ): Promise<NamedImage> {
    let reference: Reference;
    try {
      reference = parseReference(text);
    } catch (error) {
      const { code, message } = error as ContentError;
      return Promise.reject(
        new ContentError(code, `failed to parse image reference ${JSON.stringify(text)}: ${message}`, error),
      );
    }
    // Callers with other credentials must prove them on their own.
    const key = JSON.stringify([formatReference(reference), options.auth ?? null]);
    let pull = this.#pulls.get(key);
    if (pull === undefined) {
      const cancel = new AbortController();
      const image = this.#keepingAll(async () =>
        this.#record(
          reference,
          await pullImage(this.deps, reference, {
            ...(options.auth === undefined ? {} : { auth: options.auth }),
            signal: cancel.signal,
          }),
        ),
      );
      const started: SharedPull = { image, cancel, waiting: 0 };
      this.#pulls.set(key, started);
      const done = () => {
        if (this.#pulls.get(key) === started) this.#pulls.delete(key);
      };
      image.then(done, done);
      pull = started;
    }
    return this.#join(key, pull, options.signal);
  }

  /** One caller of a pull. Who gives up leaves it to the others; the last one to give up ends it. */
  #join(key: string, pull: SharedPull, signal: AbortSignal | undefined): Promise<NamedImage> {
    pull.waiting++;
    if (signal === undefined) return pull.image;
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        reject(signal.reason as Error);
        if (--pull.waiting > 0) return;
        // Whoever comes from now on starts anew.
        if (this.#pulls.get(key) === pull) this.#pulls.delete(key);
        pull.cancel.abort(signal.reason);
      };
      if (signal.aborted) giveUp();
      else signal.addEventListener('abort', giveUp, { once: true });
      const settled = () => signal.removeEventListener('abort', giveUp);
      pull.image.then(resolve, reject).finally(settled);
    });
  }

  /** All images of an archive, by its path or as it comes; those it does not name get `name`, if there is just one. */
  import(
    archive: string | AsyncIterable<Uint8Array>,
    { name, signal }: { readonly name?: string; readonly signal?: AbortSignal } = {},
  ): Promise<NamedImage[]> {
    return this.#keepingAll(async () => {
      const bytes = typeof archive === 'string' ? readPieces(archive) : archive;
      const imported = await importImages(this.deps, bytes, signal);
      const images: NamedImage[] = [];
      for (const { names, target } of imported) {
        const given = names.length > 0 ? names : name !== undefined && imported.length === 1 ? [name] : [];
        if (given.length === 0)
          throw new ContentError('InvalidArgument', 'the archive has an image without a name; say which it shall have');
        for (const text of given) images.push(await this.#record(parseReference(text), target));
      }
      return [...new Map(images.map((image) => [image.id, image])).values()];
    });
  }

  /** Makes an image of one layer. `pinned` keeps clients that tidy up from removing it. */
  pack(
    name: string,
    source: {
      readonly config: ImageConfig;
      readonly entries: Iterable<PackEntry>;
      readonly pinned?: boolean;
      /** Of the image's records. */
      readonly labels?: Readonly<Record<string, string>>;
    },
  ): Promise<NamedImage> {
    return this.#keepingAll(async () => {
      const reference = parseReference(name);
      const { config, entries } = source;
      const { target } = await packImage(this.deps.content, { name, config, entries, platform: this.deps.platform });
      await unpackLocal(this.deps, target);
      return this.#record(reference, target, {
        ...source.labels,
        ...(source.pinned === true ? { [pinnedLabel]: 'pinned' } : {}),
      });
    });
  }

  /** Removes an image by any of its names: all of them go, as the CRI demands. Nothing there is fine. Returns whether there was one. */
  async remove(text: string): Promise<boolean> {
    const id = await this.#resolveId(text);
    if (id === undefined) return false;
    for (const record of this.deps.images.list())
      if (record.name === id || (await this.#readable(record.target))?.id === id)
        await this.deps.images.delete(record.name);
    await this.collect();
    return true;
  }

  /** Takes one name away from an image; the last one takes the image with it. */
  async untag(text: string): Promise<boolean> {
    const name = formatReference(parseReference(text));
    const record = this.deps.images.get(name);
    if (record === undefined) return false;
    const image = await this.#readable(record.target);
    await this.deps.images.delete(name);
    const left =
      image === undefined ? [] : (await this.list()).filter(({ id, tags }) => id === image.id && tags.length > 0);
    if (image !== undefined && left.length === 0) await this.remove(image.id);
    else await this.collect();
    return true;
  }

  /** Removes what no image reaches, as soon as nothing is being pulled, imported or packed. */
  async collect(): Promise<void> {
    const run = this.#collecting.then(async () => {
      // Whoever is at work collects when done.
      if (this.#users === 0) await collectGarbage(this.deps);
    });
    this.#collecting = run.catch(() => {});
    await run;
  }

  async #keepingAll<T>(work: () => Promise<T>): Promise<T> {
    this.#users++;
    try {
      await this.#collecting;
      return await work();
    } finally {
      this.#users--;
    }
  }

  async #record(
    reference: Reference,
    target: Descriptor,
    more: Readonly<Record<string, string>> = {},
  ): Promise<NamedImage> {
    const labels = { [Label.managed]: 'managed', ...more };
    const image = await readLocalImage(this.deps, target);
    const { domain, path } = reference;
    if (reference.tag !== undefined) await this.deps.images.put(formatReference(reference), target, labels);
    await this.deps.images.put(formatReference({ domain, path, digest: target.digest }), target, labels);
    await this.deps.images.put(image.id, target, labels);
    return (await this.find(image.id))!;
  }

  async #resolveId(text: string): Promise<Digest | undefined> {
    if (this.deps.images.get(text) !== undefined) return (await this.#readable(this.deps.images.get(text)!.target))?.id;
    if (idPrefixGrammar.test(text)) {
      const prefix = text.startsWith('sha256:') ? text : `sha256:${text}`;
      const matches = this.deps.images.list().filter(({ name }) => name.startsWith(prefix));
      if (matches.length === 1) return matches[0]!.name as Digest;
    }
    let name: string;
    try {
      name = formatReference(parseReference(text));
    } catch {
      return undefined;
    }
    const record = this.deps.images.get(name);
    return record === undefined ? undefined : (await this.#readable(record.target))?.id;
  }

  async #readable(target: Descriptor): Promise<LocalImage | undefined> {
    let reading = this.#read.get(target.digest);
    if (reading === undefined) {
      reading = readLocalImage(this.deps, target);
      this.#read.set(target.digest, reading);
      reading.catch(() => this.#read.delete(target.digest));
    }
    try {
      return await reading;
    } catch (error) {
      if (error instanceof ContentError) return undefined;
      throw error;
    }
  }
}

function named(image: LocalImage, records: readonly ImageRecord[]): NamedImage {
  const names = records.map(({ name }) => name).filter((name) => name !== image.id);
  return {
    ...image,
    tags: names.filter((name) => !name.includes('@')),
    digests: names.filter((name) => name.includes('@')),
    pinned: records.some(({ labels }) => labels[pinnedLabel] === 'pinned'),
  };
}
