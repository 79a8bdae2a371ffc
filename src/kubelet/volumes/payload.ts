/**
 * The files of volumes that come from the API: configMap, secret, downwardAPI and projected. Pure: objects and tokens are
 * handed in. Errors name the volume's object or key, in upstream's words.
 */
import { type FieldSources, fieldValue } from '../field-ref.ts';
import type { DownwardFile, KeyToPath, Pod, Volume, VolumeProjection } from '../pod.ts';
import { resourceValue } from '../resource-field-ref.ts';
import type { VolumeFile } from './atomic-writer.ts';

/** What API volumes are made of; undefined for an object that is not there. */
export interface PayloadSources extends FieldSources {
  configMap(name: string): ReadonlyMap<string, Uint8Array> | undefined;
  secret(name: string): ReadonlyMap<string, Uint8Array> | undefined;
  /** A token for the pod, by audience (empty: the API's own) and lifetime. */
  token(audience: string, expirationSeconds: number): string;
  readonly allocatable: Readonly<Record<string, string>>;
}

/** A volume that cannot be made yet; the pod waits and the message becomes a FailedMount event. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError';
}

const defaultMode = 0o644;
const defaultTokenSeconds = 3600;

/** The files by path of a volume that comes from the API. @throws VolumeError */
export function volumePayload(pod: Pod, volume: Volume, sources: PayloadSources): Map<string, VolumeFile> {
  const files = new Map<string, VolumeFile>();
  if (volume.configMap !== undefined) {
    const { name = '', items, optional, defaultMode: mode } = volume.configMap;
    addKeys(
      files,
      keysOf('configmap', name, sources.configMap(name), optional),
      items,
      mode,
      optional,
      `configmap "${pod.metadata.namespace}"/"${name}"`,
    );
  } else if (volume.secret !== undefined) {
    const { secretName = '', items, optional, defaultMode: mode } = volume.secret;
    addKeys(
      files,
      keysOf('secret', secretName, sources.secret(secretName), optional),
      items,
      mode,
      optional,
      `secret "${pod.metadata.namespace}"/"${secretName}"`,
    );
  } else if (volume.downwardAPI !== undefined)
    addDownward(files, pod, volume.downwardAPI.items, volume.downwardAPI.defaultMode, sources);
  else if (volume.projected !== undefined)
    for (const projection of volume.projected.sources ?? [])
      addProjection(files, pod, projection, volume.projected.defaultMode, sources);
  return files;
}

/** Names of the ConfigMaps and Secrets that a pod's volumes read. */
export function volumeReferences(pod: Pod): { readonly configMaps: Set<string>; readonly secrets: Set<string> } {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  for (const volume of pod.spec.volumes ?? []) {
    if (volume.configMap?.name !== undefined) configMaps.add(volume.configMap.name);
    if (volume.secret?.secretName !== undefined) secrets.add(volume.secret.secretName);
    for (const projection of volume.projected?.sources ?? []) {
      if (projection.configMap?.name !== undefined) configMaps.add(projection.configMap.name);
      if (projection.secret?.name !== undefined) secrets.add(projection.secret.name);
    }
  }
  return { configMaps, secrets };
}

/** The tokens that a pod's volumes ask for. */
export function volumeTokens(pod: Pod): { readonly audience: string; readonly expirationSeconds: number }[] {
  return (pod.spec.volumes ?? []).flatMap((volume) =>
    (volume.projected?.sources ?? []).flatMap(({ serviceAccountToken }) =>
      serviceAccountToken === undefined
        ? []
        : [
            {
              audience: serviceAccountToken.audience ?? '',
              expirationSeconds: serviceAccountToken.expirationSeconds ?? defaultTokenSeconds,
            },
          ],
    ),
  );
}

function addProjection(
  files: Map<string, VolumeFile>,
  pod: Pod,
  projection: VolumeProjection,
  mode: number | undefined,
  sources: PayloadSources,
): void {
  if (projection.configMap !== undefined) {
    const { name = '', items, optional } = projection.configMap;
    addKeys(
      files,
      keysOf('configmap', name, sources.configMap(name), optional),
      items,
      mode,
      optional,
      `configmap "${pod.metadata.namespace}"/"${name}"`,
    );
  }
  if (projection.secret !== undefined) {
    const { name = '', items, optional } = projection.secret;
    addKeys(
      files,
      keysOf('secret', name, sources.secret(name), optional),
      items,
      mode,
      optional,
      `secret "${pod.metadata.namespace}"/"${name}"`,
    );
  }
  if (projection.downwardAPI !== undefined) addDownward(files, pod, projection.downwardAPI.items, mode, sources);
  if (projection.serviceAccountToken !== undefined) {
    const { audience = '', expirationSeconds = defaultTokenSeconds, path } = projection.serviceAccountToken;
    files.set(checked(path), {
      bytes: Buffer.from(sources.token(audience, expirationSeconds)),
      mode: tokenMode(pod, mode),
    });
  }
}

/** With an fsGroup the group may read a token; upstream's default otherwise. */
function tokenMode(pod: Pod, mode: number | undefined): number {
  return pod.spec.securityContext?.fsGroup !== undefined ? 0o640 : (mode ?? defaultMode);
}

function keysOf(
  kind: string,
  name: string,
  data: ReadonlyMap<string, Uint8Array> | undefined,
  optional: boolean | undefined,
): ReadonlyMap<string, Uint8Array> {
  if (data !== undefined) return data;
  if (optional) return new Map();
  throw new VolumeError(`${kind} "${name}" not found`);
}

function addKeys(
  files: Map<string, VolumeFile>,
  data: ReadonlyMap<string, Uint8Array>,
  items: readonly KeyToPath[] | undefined,
  mode: number | undefined,
  optional: boolean | undefined,
  what: string,
): void {
  if (items === undefined || items.length === 0) {
    for (const [key, bytes] of data) files.set(checked(key), { bytes, mode: mode ?? defaultMode });
    return;
  }
  for (const item of items) {
    const bytes = data.get(item.key);
    if (bytes !== undefined) files.set(checked(item.path), { bytes, mode: item.mode ?? mode ?? defaultMode });
    else if (!optional) throw new VolumeError(`references non-existent ${what.split(' ')[0]} key: ${item.key}`);
  }
}

function addDownward(
  files: Map<string, VolumeFile>,
  pod: Pod,
  items: readonly DownwardFile[] | undefined,
  mode: number | undefined,
  sources: PayloadSources,
): void {
  for (const item of items ?? []) {
    let text: string | undefined;
    if (item.fieldRef !== undefined) text = fieldValue(pod, item.fieldRef.fieldPath, sources);
    else if (item.resourceFieldRef !== undefined) {
      const container = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find(
        ({ name }) => name === item.resourceFieldRef!.containerName,
      );
      if (container !== undefined) text = resourceValue(pod, item.resourceFieldRef, container, sources.allocatable);
    }
    if (text === undefined) throw new VolumeError(`unsupported downward API item for ${item.path}`);
    files.set(checked(item.path), { bytes: Buffer.from(text), mode: item.mode ?? mode ?? defaultMode });
  }
}

/** Validation has refused such paths before; a file must never leave its volume all the same. */
function checked(path: string): string {
  if (path.startsWith('/') || path.split('/').some((part) => part === '..' || part === ''))
    throw new VolumeError(`invalid path: ${path}`);
  return path;
}
