/** What the verbs on images share, and the labels that tie content, images and snapshots together (containerd's). */
import type { Platform } from '#api-oci/image-spec.ts';
import type { ContentStore } from '#image/content-store.ts';
import type { ImageStore } from '#image/image-store.ts';
import type { Reference } from '#image/reference.ts';
import type { RegistryAuth, Repository } from '#image/remote/repository.ts';
import type { UnpackLimits } from '#image/unpack.ts';
import type { OverlaySnapshotter } from '../snapshots/overlay.ts';

export interface ImageDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly snapshots: OverlaySnapshotter;
  /** This machine's. */
  readonly platform: Platform;
  readonly openRepository: (reference: Reference, auth: RegistryAuth | undefined) => Repository;
  /** A string that no earlier call gave, to name what is on its way. */
  readonly uniqueName: () => string;
  readonly unpackLimits: UnpackLimits;
}

/** Layers of one image that are fetched and unpacked at the same time (containerd: max_concurrent_downloads). */
export const layersAtOnceMax = 3;

export const Label = {
  gcContent: 'containerd.io/gc.ref.content',
  gcSnapshot: 'containerd.io/gc.ref.snapshot.overlayfs',
  uncompressed: 'containerd.io/uncompressed',
  source: 'containerd.io/distribution.source',
  /** The image belongs to the CRI; all of ours do, so that every client sees the same. */
  managed: 'io.cri-containerd.image',
} as const;

/** Prefix of the snapshots that a layer is being unpacked into. */
export const extractPrefix = 'extract-';
