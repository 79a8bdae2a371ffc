/**
 * Pulls an image: manifest, configuration, then all layers, each unpacked while it downloads and stored on the way. What broke off is continued
 * by the next pull. Error texts are containerd's.
 */
import { type Descriptor, isIndexType, type Manifest } from '#api-oci/image-spec.ts';
import { parseIndex, parseManifest } from '#api-oci/parse-image.ts';
import type { ContentWriter } from '#image/content-store.ts';
import { ContentError } from '#image/error.ts';
import { chooseManifest } from '#image/platform.ts';
import { formatReference, type Reference } from '#image/reference.ts';
import type { RegistryAuth, Repository } from '#image/remote/repository.ts';
import { type ImageDeps, Label } from './image-deps.ts';
import { noMatch, readConfig } from './local-image.ts';
import { unpackLayers } from './unpack-layers.ts';

/** Fetches and unpacks; returns the manifest or index that the reference names. The caller makes the records, and keeps garbage collection away. */
export async function pullImage(
  deps: ImageDeps,
  reference: Reference,
  { auth, signal }: { readonly auth?: RegistryAuth; readonly signal?: AbortSignal } = {},
): Promise<Descriptor> {
  const name = formatReference(reference);
  try {
    return await pull(deps, reference, deps.openRepository(reference, auth), signal);
  } catch (error) {
    const failure = isDiskFull(error) ? diskFull(error) : error;
    if (!(failure instanceof ContentError)) throw failure;
    throw new ContentError(
      failure.code,
      `failed to pull and unpack image ${JSON.stringify(name)}: ${failure.message}`,
      error,
    );
  }
}

function isDiskFull(error: unknown): error is NodeJS.ErrnoException {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

function diskFull(error: NodeJS.ErrnoException): ContentError {
  const what = error.code === 'ENOSPC' ? 'no space left on device' : 'disk quota exceeded';
  const where = error.path === undefined ? '' : ` ${error.path}`;
  return new ContentError('Unknown', `failed to copy: ${error.syscall ?? 'write'}${where}: ${what}`, error);
}

async function pull(
  deps: ImageDeps,
  reference: Reference,
  repository: Repository,
  signal?: AbortSignal,
): Promise<Descriptor> {
  const source = { [`${Label.source}.${reference.domain}`]: reference.path };
  const top = await resolve(repository, reference, signal);
  let { descriptor, bytes } = top;
  /** Written children first: what a record reaches is complete. */
  const parents: { bytes: Buffer; labels: Record<string, string> }[] = [];
  for (let depth = 0; isIndexType(descriptor.mediaType); depth++) {
    if (depth > 4) throw new ContentError('InvalidArgument', `index ${descriptor.digest} is nested too deep`);
    const index = parseIndex(bytes);
    const chosen = chooseManifest(index.manifests, deps.platform);
    if (chosen === undefined) throw noMatch(descriptor.digest);
    const labels = Object.fromEntries(
      index.manifests.map((child, i) => [`${Label.gcContent}.m.${i}`, child.digest as string]),
    );
    parents.unshift({ bytes, labels: { ...source, ...labels } });
    ({ descriptor, bytes } = await repository.manifest(chosen.digest, signal));
  }
  const manifest = parseManifest(bytes);
  await fetchBlob(deps, repository, manifest.config, source, signal);
  const config = await readConfig(deps.content, manifest);
  const chainId = await unpackLayers(
    deps,
    config.rootfs.diff_ids,
    {
      open: (i, cancelled) => openLayer(deps, repository, manifest.layers[i]!, layerLabels(i), cancelled),
      without: (i, cancelled) => fetchBlob(deps, repository, manifest.layers[i]!, layerLabels(i), cancelled),
    },
    signal,
  );
  await deps.content.label(
    manifest.config.digest,
    chainId === '' ? source : { ...source, [Label.gcSnapshot]: chainId },
  );
  await deps.content.put(bytes, { ...source, ...manifestLabels(manifest) });
  for (const parent of parents) await deps.content.put(parent.bytes, parent.labels);
  return top.descriptor;

  function layerLabels(i: number) {
    return { ...source, [Label.uncompressed]: config.rootfs.diff_ids[i]! };
  }
}

export function manifestLabels(manifest: Manifest): Record<string, string> {
  return {
    [`${Label.gcContent}.config`]: manifest.config.digest,
    ...Object.fromEntries(manifest.layers.map((layer, i) => [`${Label.gcContent}.l.${i}`, layer.digest as string])),
  };
}

async function resolve(repository: Repository, reference: Reference, signal?: AbortSignal) {
  const name = formatReference(reference);
  try {
    return await repository.manifest(reference.digest ?? reference.tag!, signal);
  } catch (error) {
    if (!(error instanceof ContentError)) throw error;
    // What a registry does not have, it names by its path; whoever pulled knows it by its reference.
    const detail = error.code === 'NotFound' ? `${name}: not found` : error.message;
    throw new ContentError(error.code, `failed to resolve reference ${JSON.stringify(name)}: ${detail}`, error);
  }
}

/** Brings a blob into the store, unless it is there. */
async function fetchBlob(
  deps: ImageDeps,
  repository: Repository,
  descriptor: Descriptor,
  labels: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<void> {
  if (deps.content.info(descriptor.digest) !== undefined) {
    await deps.content.label(descriptor.digest, labels);
    return;
  }
  for await (const _ of download(deps, repository, descriptor, labels, signal));
}

/** A layer's bytes: from the store, or from the registry and into the store at the same time. */
function openLayer(
  deps: ImageDeps,
  repository: Repository,
  layer: Descriptor,
  labels: Readonly<Record<string, string>>,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  if (deps.content.info(layer.digest) !== undefined) return deps.content.read(layer.digest);
  return download(deps, repository, layer, labels, signal);
}

/** Stores a blob and hands its bytes on. Committed only when the consumer reads to the end. */
async function* download(
  deps: ImageDeps,
  repository: Repository,
  { digest, size }: Descriptor,
  labels: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const ref = `layer-${digest}`;
  let writer: ContentWriter;
  try {
    // Another pull may be fetching the same blob: when it is done, so are we.
    writer = await deps.content.writer(ref, digest, { wait: true });
  } catch (error) {
    if (!(error instanceof ContentError && error.code === 'AlreadyExists')) throw error;
    await deps.content.label(digest, labels);
    yield* deps.content.read(digest);
    return;
  }
  await using _closing = writer;
  if (writer.offset > size) {
    await writer.abort();
    throw new ContentError('DataLoss', `${digest}: more than ${size} bytes were fetched earlier; they are thrown away`);
  }
  if (writer.offset > 0) yield* deps.content.readIngest(ref, writer.offset);
  if (writer.offset < size || size === 0)
    for await (const piece of repository.blob(digest, size, writer.offset, signal)) {
      if (writer.offset + piece.length > size)
        throw new ContentError('DataLoss', `${digest}: the registry sent more than ${size} bytes`);
      try {
        await writer.write(piece);
      } catch (error) {
        // What came so far must not keep the disk full.
        if (isDiskFull(error)) await writer.abort();
        throw error;
      }
      yield piece;
    }
  await writer.commit({ digest, size, labels });
}
