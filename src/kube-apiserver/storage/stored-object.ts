/**
 * An object as the store holds it and as readers see it. In etcd: JSON without `resourceVersion`, under upstream's keys. In memory: the
 * parsed object with its `resourceVersion`, which is the key's modification revision.
 */
import type { Resource } from '#api-kube/resource.ts';
import type { KubeObject } from '../object.ts';

export interface StoredObject {
  readonly key: string;
  /** The etcd revision of the last write. */
  readonly revision: number;
  readonly object: KubeObject;
}

/** What cannot be read back: written by somebody else, or damaged. */
export class StoredObjectError extends Error {
  override readonly name = 'StoredObjectError';
}

/** Folder of a kind, with its slash: `/registry/pods/`. */
export function prefixOf(resource: Resource, namespace = ''): string {
  const folder = `/registry/${resource.storagePath}/`;
  return namespace === '' ? folder : `${folder}${namespace}/`;
}

export function keyOf(resource: Resource, namespace: string, name: string): string {
  return prefixOf(resource, resource.namespaced ? namespace : '') + name;
}

/** Upstream's encoding of built-in kinds begins so; we do not read it yet. */
const protobufMagic = Buffer.from([0x6b, 0x38, 0x73, 0]);

/** @throws StoredObjectError */
export function decodeStored(key: string, value: Uint8Array, revision: number): StoredObject {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (bytes.subarray(0, 4).equals(protobufMagic))
    throw new StoredObjectError(`${key} at revision ${revision} is stored as protobuf, which is not supported`);
  let object: { metadata?: Record<string, unknown> };
  try {
    // Our own writing, read back: strict parsing happened before it was stored.
    object = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new StoredObjectError(`${key} at revision ${revision} is not JSON`, { cause });
  }
  if (typeof object !== 'object' || object === null || typeof object.metadata !== 'object')
    throw new StoredObjectError(`${key} at revision ${revision} is not an object`);
  object.metadata['resourceVersion'] = String(revision);
  return { key, revision, object: object as unknown as KubeObject };
}

/** The bytes that are stored. */
export function encodeStored(object: KubeObject): Buffer {
  const { resourceVersion: _, ...metadata } = object.metadata;
  const { apiVersion, kind, metadata: __, ...rest } = object;
  return Buffer.from(JSON.stringify({ apiVersion, kind, metadata, ...rest }));
}

/** The object as readers will see it after a write at `revision`. */
export function withRevision(object: KubeObject, revision: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}
