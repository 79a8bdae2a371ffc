/** An image as an archive in the OCI layout: a tar of `oci-layout`, `index.json` and the blobs that its manifest names. image-spec, image-layout.md */
import type { Digest } from '#api-oci/digest.ts';
import { type Descriptor, MediaType } from '#api-oci/image-spec.ts';
import { manifestBytesMax, parseManifest } from '#api-oci/parse-image.ts';
import { tarEntry } from '#wire/tar/entry.ts';
import { encodeTarHeader, tarPadding, tarTrailerBytes } from '#wire/tar/writer.ts';
import type { ContentStore } from './content-store.ts';

/** The archive's bytes. `target` is a manifest; all of it must be in `content`. `name` is the full reference it is to be known by. */
export async function* writeArchive(
  content: ContentStore,
  target: Descriptor,
  name: string,
): AsyncGenerator<Uint8Array> {
  const manifest = parseManifest(await content.readAll(target.digest, manifestBytesMax));
  const index = {
    schemaVersion: 2,
    mediaType: MediaType.ociIndex,
    manifests: [{ ...target, annotations: { 'io.containerd.image.name': name } }],
  };
  yield* file('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  const written = new Set<Digest>();
  for (const { digest, size } of [...manifest.layers, manifest.config, target]) {
    // Two layers may be the same.
    if (written.has(digest)) continue;
    written.add(digest);
    yield encodeTarHeader(tarEntry({ name: `blobs/${digest.replace(':', '/')}`, size }));
    yield* content.read(digest);
    yield Buffer.alloc(tarPadding(size));
  }
  yield* file('index.json', Buffer.from(JSON.stringify(index)));
  yield Buffer.alloc(tarTrailerBytes);
}

function* file(name: string, bytes: Buffer): Generator<Uint8Array> {
  yield encodeTarHeader(tarEntry({ name, size: bytes.length }));
  yield bytes;
  yield Buffer.alloc(tarPadding(bytes.length));
}
