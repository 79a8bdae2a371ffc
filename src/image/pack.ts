/**
 * Makes an image of one layer from files at hand: a folder, or entries that a program brings. The same files give the same digests, on any
 * machine and day: times are the epoch, owners are root, names are in order.
 */
import { createReadStream, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import {
  type Descriptor,
  type Image,
  type ImageConfig,
  type Manifest,
  MediaType,
  type Platform,
} from '#api-oci/image-spec.ts';
import { type TarEntry, tarEntry } from '#wire/tar/entry.ts';
import { encodeTarHeader, tarPadding, tarTrailerBytes } from '#wire/tar/writer.ts';
import type { ContentStore } from './content-store.ts';
import { ContentError } from './error.ts';

/** A file of the layer; `data` gives exactly `entry.size` bytes. */
export interface PackEntry {
  readonly entry: TarEntry;
  readonly data?: () => AsyncIterable<Uint8Array>;
}

export interface PackedImage {
  readonly target: Descriptor;
  readonly manifest: Manifest;
  readonly config: Image;
}

/** Writes layer, configuration and manifest into the content store. The image has no name yet. */
export async function packImage(
  content: ContentStore,
  source: {
    /** Of two packs at the same time, each needs a name of its own. */
    readonly name: string;
    readonly platform: Platform;
    readonly config: ImageConfig;
    readonly entries: Iterable<PackEntry>;
  },
): Promise<PackedImage> {
  const layer = await writeLayer(content, `pack-${source.name}`, source.entries);
  const config: Image = {
    architecture: source.platform.architecture,
    os: source.platform.os,
    ...(source.platform.variant === undefined ? {} : { variant: source.platform.variant }),
    config: source.config,
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
    history: [{ created_by: 'wherry image pack' }],
  };
  const configBytes = Buffer.from(JSON.stringify(config));
  const configDigest = await content.put(configBytes);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: { mediaType: MediaType.ociConfig, digest: configDigest, size: configBytes.length },
    layers: [layer],
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const digest = await content.put(bytes);
  return {
    target: { mediaType: MediaType.ociManifest, digest, size: bytes.length, platform: source.platform },
    manifest,
    config,
  };
}

/** All of a folder, in order of names; modes are kept, set-uid included. Sockets are refused. */
export function* folderEntries(root: string): Generator<PackEntry> {
  yield* walk(root, '');
}

function* walk(root: string, folder: string): Generator<PackEntry> {
  // Byte order, not the locale's.
  for (const name of readdirSync(`${root}/${folder}`).sort((a, b) => (a < b ? -1 : 1))) {
    const path = folder === '' ? name : `${folder}/${name}`;
    const full = `${root}/${path}`;
    const stat = lstatSync(full);
    const mode = stat.mode & 0o7777;
    if (stat.isDirectory()) {
      yield { entry: tarEntry({ name: `${path}/`, type: 'directory', mode }) };
      yield* walk(root, path);
    } else if (stat.isFile())
      yield { entry: tarEntry({ name: path, mode, size: stat.size }), data: () => createReadStream(full) };
    else if (stat.isSymbolicLink())
      yield { entry: tarEntry({ name: path, type: 'symlink', mode: 0o777, linkName: readlinkSync(full) }) };
    else throw new ContentError('InvalidArgument', `${full} is no file, folder or symbolic link`);
  }
}

async function writeLayer(content: ContentStore, ref: string, entries: Iterable<PackEntry>): Promise<Descriptor> {
  await using writer = await content.writer(ref);
  if (writer.offset > 0) {
    // Half a layer that an earlier pack left: files may have changed since.
    await writer.abort();
    return writeLayer(content, ref, entries);
  }
  for (const { entry, data } of entries) {
    await writer.write(encodeTarHeader(entry));
    let left = entry.size;
    for await (const piece of data?.() ?? []) {
      left -= piece.length;
      if (left < 0) break;
      await writer.write(piece);
    }
    if (left !== 0) throw new ContentError('FailedPrecondition', `${entry.name} changed while it was packed`);
    if (entry.size > 0) await writer.write(Buffer.alloc(tarPadding(entry.size)));
  }
  await writer.write(Buffer.alloc(tarTrailerBytes));
  const { digest, size } = await writer.commit({});
  return { mediaType: MediaType.ociLayer, digest, size };
}
