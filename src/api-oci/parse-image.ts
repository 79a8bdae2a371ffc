/**
 * Reads indexes, manifests and image configurations. Strict where a wrong shape would hurt later, silent about what it does not
 * know, as the specification demands. What comes back holds only the fields named in `image-spec.ts`.
 *
 * The text is read with `JSON.parse`: its treatment of duplicates is Go's (the last one wins), sizes are bounded before, and no object
 * of it is handed on: every field is copied by name.
 */
import { utf8Decode } from '#std/bytes.ts';
import { type Digest, digestProblem } from './digest.ts';
import type { Descriptor, History, Image, ImageConfig, Index, Manifest, Platform } from './image-spec.ts';

/** Bytes of a manifest, index or configuration; the limit registries must accept and containerd reads up to. */
export const manifestBytesMax = 8 << 20;

/** A blob that is not what its media type says. */
export class ImageFormatError extends Error {
  override readonly name = 'ImageFormatError';
}

type Fields = Readonly<Record<string, unknown>>;

export function parseIndex(bytes: Uint8Array): Index {
  const fields = parseObject(bytes, 'index');
  return {
    schemaVersion: schemaVersion(fields, 'index'),
    ...optional('mediaType', text(fields, 'mediaType')),
    manifests: list(fields['manifests'], 'manifests').map((entry) => parseDescriptor(entry, 'manifests')),
    ...optional('annotations', textMap(fields['annotations'], 'annotations')),
  };
}

export function parseManifest(bytes: Uint8Array): Manifest {
  const fields = parseObject(bytes, 'manifest');
  return {
    schemaVersion: schemaVersion(fields, 'manifest'),
    ...optional('mediaType', text(fields, 'mediaType')),
    config: parseDescriptor(fields['config'], 'config'),
    layers: list(fields['layers'], 'layers').map((entry) => parseDescriptor(entry, 'layers')),
    ...optional('annotations', textMap(fields['annotations'], 'annotations')),
  };
}

export function parseImage(bytes: Uint8Array): Image {
  const fields = parseObject(bytes, 'image configuration');
  const rootfs = object(fields['rootfs'] ?? {}, 'rootfs');
  return {
    ...parsePlatform(fields, 'image configuration'),
    ...optional('created', text(fields, 'created')),
    ...optional('author', text(fields, 'author')),
    config: parseImageConfig(object(fields['config'] ?? {}, 'config')),
    rootfs: {
      type: 'layers',
      diff_ids: list(rootfs['diff_ids'] ?? [], 'rootfs.diff_ids').map((id) => digest(id, 'rootfs.diff_ids')),
    },
    history: list(fields['history'] ?? [], 'history').map(parseHistory),
  };
}

function parseImageConfig(fields: Fields): ImageConfig {
  return {
    ...optional('User', text(fields, 'User')),
    ...optional('ExposedPorts', emptyObjectMap(fields['ExposedPorts'], 'config.ExposedPorts')),
    ...optional('Env', textList(fields['Env'], 'config.Env')),
    ...optional('Entrypoint', textList(fields['Entrypoint'], 'config.Entrypoint')),
    ...optional('Cmd', textList(fields['Cmd'], 'config.Cmd')),
    ...optional('Volumes', emptyObjectMap(fields['Volumes'], 'config.Volumes')),
    ...optional('WorkingDir', text(fields, 'WorkingDir')),
    ...optional('Labels', textMap(fields['Labels'], 'config.Labels')),
    ...optional('StopSignal', text(fields, 'StopSignal')),
  };
}

function parseHistory(value: unknown): History {
  const fields = object(value, 'history');
  return {
    ...optional('created', text(fields, 'created')),
    ...optional('created_by', text(fields, 'created_by')),
    ...optional('author', text(fields, 'author')),
    ...optional('comment', text(fields, 'comment')),
    ...(fields['empty_layer'] === true ? { empty_layer: true } : {}),
  };
}

export function parseDescriptor(value: unknown, what: string): Descriptor {
  const fields = object(value, what);
  const { size } = fields;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw new ImageFormatError(`${what}: size ${JSON.stringify(size)} is not a number of bytes`);
  return {
    mediaType: text(fields, 'mediaType') ?? '',
    digest: digest(fields['digest'], what),
    size,
    ...optional(
      'platform',
      fields['platform'] == null ? undefined : parsePlatform(object(fields['platform'], `${what}.platform`), what),
    ),
    ...optional('annotations', textMap(fields['annotations'], `${what}.annotations`)),
    ...optional('artifactType', text(fields, 'artifactType')),
  };
}

function parsePlatform(fields: Fields, what: string): Platform {
  return {
    architecture: text(fields, 'architecture') ?? '',
    os: text(fields, 'os') ?? '',
    ...optional('variant', text(fields, 'variant')),
    ...optional('os.version', text(fields, 'os.version')),
    ...optional('os.features', textList(fields['os.features'], `${what}: os.features`)),
  };
}

function parseObject(bytes: Uint8Array, what: string): Fields {
  if (bytes.length > manifestBytesMax) throw new ImageFormatError(`${what} of ${bytes.length} bytes is too large`);
  let value: unknown;
  try {
    value = JSON.parse(utf8Decode(bytes));
  } catch (error) {
    throw new ImageFormatError(`${what} is not JSON: ${(error as Error).message}`);
  }
  return object(value, what);
}

function schemaVersion(fields: Fields, what: string): 2 {
  const version = fields['schemaVersion'];
  if (version !== 2) throw new ImageFormatError(`${what}: unsupported schemaVersion ${JSON.stringify(version)}`);
  return version;
}

function object(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ImageFormatError(`${what} is not an object`);
  return value as Fields;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new ImageFormatError(`${what} is not a list`);
  return value;
}

function text(fields: Fields, key: string): string | undefined {
  const value = fields[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw new ImageFormatError(`${key} is not a string`);
  return value;
}

function digest(value: unknown, what: string): Digest {
  if (typeof value !== 'string') throw new ImageFormatError(`${what}: digest is not a string`);
  const problem = digestProblem(value);
  if (problem !== undefined) throw new ImageFormatError(`${what}: ${problem}: ${JSON.stringify(value)}`);
  return value as Digest;
}

function textList(value: unknown, what: string): string[] | undefined {
  if (value === undefined || value === null) return undefined;
  return list(value, what).map((item) => {
    if (typeof item !== 'string') throw new ImageFormatError(`${what} holds something that is not a string`);
    return item;
  });
}

function textMap(value: unknown, what: string): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  const entries = Object.entries(object(value, what));
  for (const [, item] of entries)
    if (typeof item !== 'string') throw new ImageFormatError(`${what} holds something that is not a string`);
  return Object.fromEntries(entries) as Record<string, string>;
}

function emptyObjectMap(value: unknown, what: string): Record<string, object> | undefined {
  if (value === undefined || value === null) return undefined;
  return Object.fromEntries(Object.keys(object(value, what)).map((key) => [key, {}]));
}

function optional<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: V });
}
