/**
 * Which objects lead to a node: secrets, config maps, claims, service accounts and resource claims through the pods bound to it, volumes
 * through their claims, secrets of volumes through the volumes. Kept by following the watch cache, so a node that has seen a pod here is
 * known to run it. Source: plugin/pkg/auth/authorizer/node (Graph).
 */
import type { KubeObject } from '../object.ts';
import type { ObjectReader } from '../reader.ts';
import { claimOf, type ReferenceKind, referenceKey, referencesOf, volumeSecretsOf } from './pod-references.ts';

const pods = { group: '', resource: 'pods' };
const volumes = { group: '', resource: 'persistentvolumes' };
const attachments = { group: 'storage.k8s.io', resource: 'volumeattachments' };
const slices = { group: 'resource.k8s.io', resource: 'resourceslices' };

export interface NodeGraph extends Disposable {
  /** Some pod of the node names the object, itself or through a volume. */
  reaches(node: string, kind: ReferenceKind, namespace: string, name: string): boolean;
  reachesVolume(node: string, name: string): boolean;
  /** The object says itself which node it belongs to. */
  isBoundTo(node: string, kind: 'pod' | 'volumeattachment' | 'resourceslice', namespace: string, name: string): boolean;
}

interface PodEntry {
  readonly node: string;
  readonly keys: ReadonlySet<string>;
}

export function createNodeGraph(reader: ObjectReader): NodeGraph {
  const podEntries = new Map<string, PodEntry>();
  /** By node and key: how many pods name it. */
  const counts = new Map<string, Map<string, number>>();
  /** By a secret's key: volumes that need it. */
  const volumesBySecret = new Map<string, Set<string>>();

  const podKey = ({ metadata }: KubeObject) => `${metadata.namespace}/${metadata.name}`;
  const nodeOf = (object: KubeObject | undefined) =>
    (object?.['spec'] as { readonly nodeName?: string } | undefined)?.nodeName ?? '';

  function forgetPod(key: string): void {
    const entry = podEntries.get(key);
    if (entry === undefined) return;
    podEntries.delete(key);
    const ofNode = counts.get(entry.node)!;
    for (const reference of entry.keys) {
      const left = ofNode.get(reference)! - 1;
      if (left === 0) ofNode.delete(reference);
      else ofNode.set(reference, left);
    }
    if (ofNode.size === 0) counts.delete(entry.node);
  }

  function addPod(pod: KubeObject): void {
    const node = nodeOf(pod);
    if (node === '') return;
    const keys = referencesOf(pod);
    if (keys.size === 0) return;
    podEntries.set(podKey(pod), { node, keys });
    let ofNode = counts.get(node);
    if (ofNode === undefined) counts.set(node, (ofNode = new Map()));
    for (const reference of keys) ofNode.set(reference, (ofNode.get(reference) ?? 0) + 1);
  }

  function changeVolume(before: KubeObject | undefined, after: KubeObject | undefined): void {
    if (before !== undefined)
      for (const key of volumeSecretsOf(before)) {
        const users = volumesBySecret.get(key);
        users?.delete(before.metadata.name!);
        if (users?.size === 0) volumesBySecret.delete(key);
      }
    if (after === undefined) return;
    for (const key of volumeSecretsOf(after)) {
      const users = volumesBySecret.get(key);
      if (users === undefined) volumesBySecret.set(key, new Set([after.metadata.name!]));
      else users.add(after.metadata.name!);
    }
  }

  function readPods(): void {
    podEntries.clear();
    counts.clear();
    for (const pod of reader.list(pods)) addPod(pod);
  }

  function readVolumes(): void {
    volumesBySecret.clear();
    for (const volume of reader.list(volumes)) changeVolume(undefined, volume);
  }

  const watches = [
    reader.watch(pods, (before, after) => {
      // Both missing: the cache was read anew.
      if (before === undefined && after === undefined) return readPods();
      forgetPod(podKey((after ?? before)!));
      if (after !== undefined) addPod(after);
    }),
    reader.watch(volumes, (before, after) => {
      if (before === undefined && after === undefined) readVolumes();
      else changeVolume(before, after);
    }),
  ];
  readPods();
  readVolumes();

  const names = (node: string, key: string) => counts.get(node)?.has(key) === true;
  const reachesVolume = (node: string, name: string) => {
    const volume = reader.get(volumes, '', name);
    const claim = volume === undefined ? undefined : claimOf(volume);
    return claim !== undefined && names(node, claim);
  };
  return {
    reaches(node, kind, namespace, name) {
      const key = referenceKey(kind, namespace, name);
      if (names(node, key)) return true;
      for (const volume of volumesBySecret.get(key) ?? []) if (reachesVolume(node, volume)) return true;
      return false;
    },
    reachesVolume,
    isBoundTo(node, kind, namespace, name) {
      const resource = kind === 'pod' ? pods : kind === 'volumeattachment' ? attachments : slices;
      const owner = nodeOf(reader.get(resource, namespace, name));
      return owner !== '' && owner === node;
    },
    [Symbol.dispose]() {
      for (const watch of watches) watch[Symbol.dispose]();
    },
  };
}
