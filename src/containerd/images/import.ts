/**
 * Imports images from a tar archive: an OCI layout, or what `docker save` writes (both, since Docker 25). Files of the archive go straight
 * into the content store; names and manifests are looked at when everything is in.
 */
import { type Digest, isDigest } from '#api-oci/digest.ts';
import { type Descriptor, isIndexType, isManifestType, type Manifest, MediaType } from '#api-oci/image-spec.ts';
import { manifestBytesMax, parseImage, parseIndex, parseManifest } from '#api-oci/parse-image.ts';
import type { ContentWriter } from '#image/content-store.ts';
import { compressionOf, decompress } from '#image/decompress.ts';
import { ContentError } from '#image/error.ts';
import { chooseManifest } from '#image/platform.ts';
import { formatReference, parseReference } from '#image/reference.ts';
import { TarReader } from '#wire/tar/reader.ts';
import { type ImageDeps, Label } from './image-deps.ts';
import { readConfig } from './local-image.ts';
import { manifestLabels } from './pull.ts';
import { unpackLayers } from './unpack-layers.ts';

export interface ImportedImage {
  /** Full references that the archive names the image by; may be empty. */
  readonly names: readonly string[];
  readonly target: Descriptor;
}

const layoutBlob = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/;
const filesMax = 100_000;

/** Stores and unpacks all images of an archive, compressed or not. The caller makes the records, and keeps garbage collection away. */
export async function importImages(
  deps: ImageDeps,
  archive: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<ImportedImage[]> {
  const files = await storeFiles(deps, archive, signal);
  const images: ImportedImage[] = [];
  const index = files.small.get('index.json');
  const dockerManifest = files.small.get('manifest.json');
  if (index !== undefined)
    for (const descriptor of parseIndex(index).manifests) {
      const annotations = descriptor.annotations ?? {};
      const name = annotations['io.containerd.image.name'] ?? annotations['org.opencontainers.image.ref.name'];
      const named = name !== undefined && /[/:]/.test(name) ? [formatReference(parseReference(name))] : [];
      if (isIndexType(descriptor.mediaType) || isManifestType(descriptor.mediaType))
        images.push({ names: named, target: await finish(deps, descriptor, signal) });
    }
  if (dockerManifest !== undefined && images.every(({ names }) => names.length === 0)) {
    images.length = 0;
    for (const entry of parseDockerManifest(dockerManifest))
      images.push(await finishDocker(deps, files, entry, signal));
  }
  if (images.length === 0)
    throw new ContentError('InvalidArgument', 'unrecognized image format: the archive has no images');
  return images;
}

interface StoredFiles {
  /** Files at the top that are read as JSON. */
  readonly small: ReadonlyMap<string, Buffer>;
  /** Digest of every other file by its path in the archive. */
  readonly digests: ReadonlyMap<string, Digest>;
}

async function storeFiles(
  deps: ImageDeps,
  archive: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<StoredFiles> {
  const small = new Map<string, Buffer>();
  const digests = new Map<string, Digest>();
  const links = new Map<string, string>();
  const reader = new TarReader();
  let name = '';
  let chunks: Uint8Array[] | undefined;
  let writer: ContentWriter | undefined;
  let files = 0;
  try {
    for await (const piece of decompress(archive)) {
      signal?.throwIfAborted();
      reader.push(piece);
      for (let event = reader.next(); event !== undefined; event = reader.next())
        if (event.kind === 'entry') {
          if (++files > filesMax) throw new ContentError('OutOfRange', `archive has more than ${filesMax} files`);
          name = event.entry.name.replace(/^(\.?\/)+/, '');
          if (event.entry.type === 'symlink') links.set(name, event.entry.linkName);
          if (event.entry.type !== 'file') continue;
          if (name === 'index.json' || name === 'manifest.json') {
            if (event.entry.size > manifestBytesMax) throw new ContentError('OutOfRange', `${name} is too large`);
            chunks = [];
          } else writer = await deps.content.writer(`import-${deps.uniqueName()}`);
        } else if (event.kind === 'data') {
          chunks?.push(Buffer.from(event.data));
          await writer?.write(event.data);
        } else {
          if (chunks !== undefined) small.set(name, Buffer.concat(chunks));
          if (writer !== undefined) digests.set(name, await commit(writer, name));
          chunks = undefined;
          writer = undefined;
        }
    }
    reader.finish();
  } finally {
    await writer?.abort();
  }
  // `docker save` of old linked layers that two images share.
  for (const [link, target] of links) {
    const resolved = new URL(target, `file:///${link}`).pathname.slice(1);
    const digest = digests.get(resolved);
    if (digest !== undefined) digests.set(link, digest);
  }
  return { small, digests };
}

/** A blob of a layout must be what its name says. */
async function commit(writer: ContentWriter, name: string): Promise<Digest> {
  const [, algorithm, hex] = layoutBlob.exec(name) ?? [];
  const stated = `${algorithm}:${hex}`;
  // Another algorithm than the writer's own cannot be checked while it is written; the blob is kept under sha256 and not found.
  const expected = algorithm === 'sha256' && isDigest(stated) ? { digest: stated } : {};
  return (await writer.commit(expected)).digest;
}

async function finish(deps: ImageDeps, target: Descriptor, signal?: AbortSignal): Promise<Descriptor> {
  let descriptor = target;
  if (isIndexType(descriptor.mediaType)) {
    const index = parseIndex(await deps.content.readAll(descriptor.digest, manifestBytesMax));
    // Layouts may hold some platforms only: what is not here is no candidate.
    const present = index.manifests.filter((child) => deps.content.info(child.digest) !== undefined);
    await deps.content.label(
      descriptor.digest,
      Object.fromEntries(present.map((child, i) => [`${Label.gcContent}.m.${i}`, child.digest as string])),
    );
    const chosen = chooseManifest(present, deps.platform);
    // An image for other machines: kept, to be pushed or looked at.
    if (chosen === undefined) return target;
    descriptor = chosen;
  }
  await unpackLocal(deps, descriptor, signal);
  return target;
}

/** Unpacks an image whose content is all here, and labels it. */
export async function unpackLocal(deps: ImageDeps, descriptor: Descriptor, signal?: AbortSignal): Promise<void> {
  const manifest = parseManifest(await deps.content.readAll(descriptor.digest, manifestBytesMax));
  const config = await readConfig(deps.content, manifest);
  const chainId = await unpackLayers(
    deps,
    config.rootfs.diff_ids,
    {
      open: (i) => deps.content.read(manifest.layers[i]!.digest),
      without: async () => {},
    },
    signal,
  );
  if (chainId !== '') await deps.content.label(manifest.config.digest, { [Label.gcSnapshot]: chainId });
  await deps.content.label(descriptor.digest, manifestLabels(manifest));
}

interface DockerEntry {
  readonly Config: string;
  readonly RepoTags: readonly string[];
  readonly Layers: readonly string[];
}

function parseDockerManifest(bytes: Buffer): DockerEntry[] {
  const wrong = () => new ContentError('InvalidArgument', 'manifest.json is not what docker save writes');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    throw wrong();
  }
  if (!Array.isArray(value)) throw wrong();
  const texts = (list: unknown): string[] => {
    if (list === null || list === undefined) return [];
    if (!Array.isArray(list) || list.some((item) => typeof item !== 'string')) throw wrong();
    return list as string[];
  };
  return value.map((entry: Record<string, unknown> | null) => {
    if (typeof entry?.['Config'] !== 'string') throw wrong();
    return { Config: entry['Config'], RepoTags: texts(entry['RepoTags']), Layers: texts(entry['Layers']) };
  });
}

/** `docker save` has no manifest in the registry's sense: one is made from the list of layers. */
async function finishDocker(
  deps: ImageDeps,
  files: StoredFiles,
  entry: DockerEntry,
  signal?: AbortSignal,
): Promise<ImportedImage> {
  const require = (path: string): Digest => {
    const digest = files.digests.get(path);
    if (digest === undefined)
      throw new ContentError('InvalidArgument', `archive has no ${path}, which manifest.json names`);
    return digest;
  };
  const describe = (mediaType: string, digest: Digest): Descriptor => ({
    mediaType,
    digest,
    size: deps.content.info(digest)!.size,
  });
  const config = require(entry.Config);
  const image = parseImage(await deps.content.readAll(config, manifestBytesMax));
  const layers: Descriptor[] = [];
  for (const path of entry.Layers) {
    const digest = require(path);
    let start: Uint8Array = Buffer.alloc(0);
    for await (const piece of deps.content.read(digest)) {
      start = piece;
      break;
    }
    const compression = compressionOf(start);
    const mediaType =
      compression === 'gzip'
        ? MediaType.dockerLayerGzip
        : compression === 'zstd'
          ? MediaType.ociLayerZstd
          : MediaType.dockerLayer;
    layers.push(describe(mediaType, digest));
  }
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MediaType.dockerManifest,
    config: describe(MediaType.dockerConfig, config),
    layers,
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const digest = await deps.content.put(bytes);
  const target: Descriptor = {
    mediaType: MediaType.dockerManifest,
    digest,
    size: bytes.length,
    platform: { os: image.os, architecture: image.architecture },
  };
  await unpackLocal(deps, target, signal);
  return { names: entry.RepoTags.map((tag) => formatReference(parseReference(tag))), target };
}
