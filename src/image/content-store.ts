/**
 * Content by digest, in containerd's layout: `blobs/<algorithm>/<hex>` for what is whole, `ingest/<sha256 of the ref>/{ref,data}` for
 * what is still coming. A blob appears only after its size and digest were verified and its bytes were on disk. Labels and times are in the
 * metadata store. It knows nothing of what the bytes mean.
 */
import { createHash, type Hash } from 'node:crypto';
import { type Digest, digestAlgorithm, digestHex, isDigest } from '#api-oci/digest.ts';
import { type AppendFile, openAppendFile, readPieces } from '#host/append-file.ts';
import { listFolder, makeFolder, readIfThere, removeTree, replaceFile, setMode } from '#host/files.ts';
import { moveDurably } from '#host/move.ts';
import type { Clock } from '#std/clock.ts';
import { ContentError } from './error.ts';
import type { Json, MetadataStore } from './metadata-store.ts';

export interface ContentInfo {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** A blob on its way in. Writes come one after the other. Disposing without commit keeps what came, to go on later. */
export interface ContentWriter extends AsyncDisposable {
  /** Bytes written so far; more than 0 at first when an earlier attempt is continued. */
  readonly offset: number;
  write(bytes: Uint8Array): Promise<void>;
  /** sha256 of what was written so far. */
  digest(): Digest;
  /** Verifies and publishes. ContentError FailedPrecondition when size or digest is another; AlreadyExists is not an error here. */
  commit(expected: {
    readonly size?: number;
    readonly digest?: Digest;
    readonly labels?: Labels;
  }): Promise<ContentInfo>;
  /** Throws away what came. */
  abort(): Promise<void>;
}

type Labels = Readonly<Record<string, string>>;

const bucket = 'content';

export class ContentStore {
  readonly #root: string;
  readonly #metadata: MetadataStore;
  readonly #clock: Clock;
  /** Refs that have a writer now. */
  readonly #open = new Map<string, { readonly since: number; readonly closed: PromiseWithResolvers<void> }>();

  private constructor(root: string, metadata: MetadataStore, clock: Clock) {
    this.#root = root;
    this.#metadata = metadata;
    this.#clock = clock;
  }

  /** `root` is containerd's `io.containerd.content.v1.content` folder. */
  static async open(root: string, metadata: MetadataStore, clock: Clock): Promise<ContentStore> {
    for (const folder of ['blobs/sha256', 'blobs/sha512', 'ingest']) await makeFolder(`${root}/${folder}`, 0o700);
    return new ContentStore(root, metadata, clock);
  }

  info(digest: Digest): ContentInfo | undefined {
    const stored = this.#metadata.get(bucket, digest) as Omit<ContentInfo, 'digest'> | undefined;
    return stored === undefined ? undefined : { digest, ...stored };
  }

  list(): ContentInfo[] {
    return [...this.#metadata.entries(bucket).keys()].map((digest) => this.info(digest as Digest)!);
  }

  /** Bytes of a blob from `offset` on. NotFound comes with the first piece. */
  async *read(digest: Digest, offset = 0): AsyncGenerator<Buffer> {
    this.#require(digest);
    yield* readPieces(this.#path(digest), offset);
  }

  /** A small blob at once; one over `bytesMax` is refused. The bytes are verified again: they become manifests and configurations. */
  async readAll(digest: Digest, bytesMax: number): Promise<Buffer> {
    const { size } = this.#require(digest);
    if (size > bytesMax) throw new ContentError('OutOfRange', `content ${digest} of ${size} bytes is over ${bytesMax}`);
    const bytes = await readIfThere(this.#path(digest));
    if (bytes === undefined) throw notFound(digest);
    if (digestOf(bytes, digestAlgorithm(digest)) !== digest)
      throw new ContentError('DataLoss', `content ${digest} is damaged on disk`);
    return bytes;
  }

  /** Merges labels into a blob's; an empty value removes one. */
  async label(digest: Digest, labels: Labels): Promise<void> {
    const info = this.#require(digest);
    const merged = Object.fromEntries(
      Object.entries({ ...info.labels, ...labels }).filter(([, value]) => value !== ''),
    );
    await this.#put({ ...info, labels: merged, updatedAt: this.#clock.now() });
  }

  async delete(digest: Digest): Promise<void> {
    this.#require(digest);
    await this.#metadata.commit([{ bucket, key: digest, value: undefined }]);
    await removeTree(this.#path(digest));
  }

  /**
   * Opens (or continues) the ingest named `ref`. One writer at a time: a second gets Unavailable, as from containerd, or with `wait` its turn.
   * With `digest`, content that is there already gives AlreadyExists.
   */
  async writer(
    ref: string,
    digest?: Digest,
    { wait = false }: { readonly wait?: boolean } = {},
  ): Promise<ContentWriter> {
    for (let open = this.#open.get(ref); open !== undefined; open = this.#open.get(ref)) {
      if (!wait)
        throw new ContentError(
          'Unavailable',
          `ref ${ref} locked since ${new Date(open.since).toISOString()}: unavailable`,
        );
      await open.closed.promise;
    }
    if (digest !== undefined && this.info(digest) !== undefined)
      throw new ContentError('AlreadyExists', `content ${digest}: already exists`);
    this.#open.set(ref, { since: this.#clock.now(), closed: Promise.withResolvers() });
    const folder = this.#ingest(ref);
    try {
      await makeFolder(folder, 0o700);
      await replaceFile(`${folder}/ref`, ref, { mode: 0o600, durable: false });
      const file = await openAppendFile(`${folder}/data`);
      const algorithm = digest === undefined ? 'sha256' : digestAlgorithm(digest);
      const hash = createHash(algorithm);
      for await (const piece of readPieces(`${folder}/data`, 0, file.size)) hash.update(piece);
      return this.#writer(ref, folder, file, hash, algorithm);
    } catch (error) {
      this.#close(ref);
      throw error;
    }
  }

  /** The first `size` bytes of an ingest that is under way. */
  readIngest(ref: string, size: number): AsyncGenerator<Buffer> {
    return readPieces(`${this.#ingest(ref)}/data`, 0, size);
  }

  /** Writes a small blob. */
  async put(bytes: Uint8Array, labels: Labels = {}): Promise<Digest> {
    const digest = digestOf(bytes, 'sha256');
    let writer: ContentWriter;
    try {
      writer = await this.writer(`put-${digest}`, digest, { wait: true });
    } catch (error) {
      if (!(error instanceof ContentError && error.code === 'AlreadyExists')) throw error;
      await this.label(digest, labels);
      return digest;
    }
    await using _closing = writer;
    if (writer.offset > 0) {
      await writer.abort();
      return this.put(bytes, labels);
    }
    await writer.write(bytes);
    return (await writer.commit({ digest, size: bytes.length, labels })).digest;
  }

  /** After a crash: forgets content whose blob is gone, removes blobs that were never acknowledged. Returns how many. */
  async reconcile(): Promise<number> {
    let removed = 0;
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const present = new Set(
        (await listFolder(`${this.#root}/blobs/${algorithm}`)).map((hex) => `${algorithm}:${hex}`),
      );
      for (const digest of present)
        if (!isDigest(digest) || this.info(digest) === undefined) {
          await removeTree(`${this.#root}/blobs/${algorithm}/${digest.slice(algorithm.length + 1)}`);
          removed++;
        }
      for (const digest of this.#metadata.entries(bucket).keys())
        if (digest.startsWith(`${algorithm}:`) && !present.has(digest)) {
          await this.#metadata.commit([{ bucket, key: digest, value: undefined }]);
          removed++;
        }
    }
    return removed;
  }

  #writer(ref: string, folder: string, file: AppendFile, hash: Hash, algorithm: 'sha256' | 'sha512'): ContentWriter {
    let closed = false;
    const close = async () => {
      if (closed) return;
      closed = true;
      await file[Symbol.asyncDispose]();
      this.#close(ref);
    };
    const current = () => `${algorithm}:${hash.copy().digest('hex')}` as Digest;
    return {
      get offset() {
        return file.size;
      },
      async write(bytes) {
        await file.append(bytes);
        hash.update(bytes);
      },
      digest: current,
      commit: async (expected) => {
        const digest = current();
        const { size } = file;
        if (expected.size !== undefined && expected.size !== size) {
          await discard();
          throw new ContentError(
            'FailedPrecondition',
            `failed commit on ref ${JSON.stringify(ref)}: ${size} != ${expected.size}: failed precondition`,
          );
        }
        if (expected.digest !== undefined && expected.digest !== digest) {
          await discard();
          throw new ContentError(
            'FailedPrecondition',
            `failed commit on ref ${JSON.stringify(ref)}: unexpected commit digest ${digest}, expected ${expected.digest}: failed precondition`,
          );
        }
        await file.sync();
        await setMode(`${folder}/data`, 0o444);
        await moveDurably(`${folder}/data`, this.#path(digest));
        const now = this.#clock.now();
        const present = this.info(digest);
        const labels = { ...present?.labels, ...expected.labels };
        const info: ContentInfo = { digest, size, createdAt: present?.createdAt ?? now, updatedAt: now, labels };
        await this.#put(info);
        await close();
        await removeTree(folder);
        return info;
      },
      abort: discard,
      [Symbol.asyncDispose]: close,
    };

    async function discard(): Promise<void> {
      if (closed) return;
      await file.truncate(0);
      await close();
      await removeTree(folder);
    }
  }

  #put({ digest, ...rest }: ContentInfo): Promise<void> {
    return this.#metadata.commit([{ bucket, key: digest, value: rest as unknown as Json }]);
  }

  #require(digest: Digest): ContentInfo {
    const info = this.info(digest);
    if (info === undefined) throw notFound(digest);
    return info;
  }

  #close(ref: string): void {
    const entry = this.#open.get(ref);
    this.#open.delete(ref);
    entry?.closed.resolve();
  }

  #ingest(ref: string): string {
    return `${this.#root}/ingest/${createHash('sha256').update(ref).digest('hex')}`;
  }

  #path(digest: Digest): string {
    return `${this.#root}/blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
  }
}

export function digestOf(bytes: Uint8Array, algorithm: 'sha256' | 'sha512' = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest;
}

function notFound(digest: Digest): ContentError {
  return new ContentError('NotFound', `content ${digest}: not found`);
}
