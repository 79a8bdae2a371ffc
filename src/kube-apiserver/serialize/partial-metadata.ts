/** PartialObjectMetadata (meta.k8s.io/v1): objects reduced to their metadata, for clients that walk all kinds. */
import type { KubeObject } from '../object.ts';

export interface ListMeta {
  readonly resourceVersion?: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

export function partialMetadataOf(object: KubeObject): KubeObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}

export function partialMetadataListOf(objects: readonly KubeObject[], meta: ListMeta): object {
  return {
    kind: 'PartialObjectMetadataList',
    apiVersion: 'meta.k8s.io/v1',
    metadata: meta,
    items: objects.map(({ metadata }) => ({ metadata })),
  };
}
