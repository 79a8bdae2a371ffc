/** An image as it is on this machine: from its record through index and manifest to its configuration and root snapshot. */
import { createHash } from 'node:crypto';
import type { Digest } from '#api-oci/digest.ts';
import { type Descriptor, type Image, isIndexType, type Manifest } from '#api-oci/image-spec.ts';
import { manifestBytesMax, parseImage, parseIndex, parseManifest } from '#api-oci/parse-image.ts';
import type { ContentStore } from '#image/content-store.ts';
import { ContentError } from '#image/error.ts';
import { chooseManifest } from '#image/platform.ts';
import type { ImageDeps } from './image-deps.ts';

export interface LocalImage {
  /** The configuration's digest: the image's id for the CRI. */
  readonly id: Digest;
  readonly manifestDescriptor: Descriptor;
  readonly manifest: Manifest;
  readonly config: Image;
  /** Name of the committed snapshot of all layers; empty for an image without layers. */
  readonly chainId: string;
  /** Bytes of manifest, configuration and (compressed) layers. */
  readonly size: number;
}

/** Reads what `target` describes. NotFound when a part is not here or no manifest is for this machine. */
export async function readLocalImage(deps: ImageDeps, target: Descriptor): Promise<LocalImage> {
  let descriptor = target;
  for (let depth = 0; isIndexType(descriptor.mediaType); depth++) {
    if (depth > 4) throw new ContentError('InvalidArgument', `index ${target.digest} is nested too deep`);
    const index = parseIndex(await deps.content.readAll(descriptor.digest, manifestBytesMax));
    const chosen = chooseManifest(index.manifests, deps.platform);
    if (chosen === undefined) throw noMatch(descriptor.digest);
    descriptor = chosen;
  }
  const manifest = parseManifest(await deps.content.readAll(descriptor.digest, manifestBytesMax));
  const config = await readConfig(deps.content, manifest);
  return {
    id: manifest.config.digest,
    manifestDescriptor: descriptor,
    manifest,
    config,
    chainId: chainIds(config.rootfs.diff_ids).at(-1) ?? '',
    size: descriptor.size + manifest.config.size + manifest.layers.reduce((sum, layer) => sum + layer.size, 0),
  };
}

export async function readConfig(content: ContentStore, manifest: Manifest): Promise<Image> {
  const config = parseImage(await content.readAll(manifest.config.digest, manifestBytesMax));
  if (config.rootfs.diff_ids.length !== manifest.layers.length)
    throw new ContentError(
      'InvalidArgument',
      `number of layers and diffIDs don't match: ${manifest.layers.length} != ${config.rootfs.diff_ids.length}`,
    );
  return config;
}

export function noMatch(digest: Digest): ContentError {
  return new ContentError('NotFound', `no match for platform in manifest ${digest}: not found`);
}

/** Names of the snapshots of a stack of layers, base first: each hashes the one below and its own layer. image-spec, config.md */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(
      below === undefined
        ? diffId
        : (`sha256:${createHash('sha256').update(`${below} ${diffId}`).digest('hex')}` as Digest),
    );
  }
  return chain;
}
