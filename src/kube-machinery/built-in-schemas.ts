/** The schemas of the built-in kinds, read from the facts table: made once, shared by all, never changed. */
import { kinds, types } from '#api-kube/facts.ts';
import { fieldNumbers } from '#api-kube/field-numbers.ts';
import type { GroupVersionKind } from '#api-kube/resource.ts';
import {
  decode as decodeBy,
  type Field,
  type ObjectSchema,
  patchSchema,
  type ScalarType,
  type Schema,
} from './schema.ts';
import type { PatchSchema } from './strategic-merge-patch.ts';

const scalars: ReadonlySet<string> = new Set<ScalarType>([
  'string',
  'int32',
  'int64',
  'double',
  'bool',
  'bytes',
  'time',
  'quantity',
  'int-or-string',
  'any',
]);

/** `core/v1.PodSpec; ...` into records that refer to each other. */
function readTypes(): ReadonlyMap<string, ObjectSchema> {
  const schemas = new Map<string, ObjectSchema & { readonly fields: Map<string, Field> }>();
  for (const [name, text] of Object.entries(types)) {
    const dot = name.lastIndexOf('.');
    const short = name.slice(dot + 1);
    const version = name.slice(name.indexOf('/') + 1, dot);
    const atomic = text.startsWith('(atomic)');
    schemas.set(name, { type: 'object', name: short, goName: `${version}.${short}`, fields: new Map(), atomic });
  }
  const typeOf = (text: string): Schema => {
    if (text.startsWith('@')) return schemas.get(text.slice(1))!;
    if (text.startsWith('[')) return { type: 'list', items: typeOf(text.slice(1, -1)) };
    if (text.startsWith('{')) return { type: 'map', values: typeOf(text.slice(1, -1)) };
    if (!scalars.has(text)) throw new Error(`facts: unknown type ${text}`);
    return { type: text as ScalarType };
  };
  for (const [name, text] of Object.entries(types)) {
    const { fields } = schemas.get(name)!;
    const meaningful = zeroMeans(name);
    for (const part of text.split('; ')) {
      if (part === '' || part === '(atomic)') continue;
      const [head = '', ...words] = part.split(' ');
      const colon = head.indexOf(':');
      const required = head[colon - 1] === '!';
      const word = (key: string) => words.find((entry) => entry.startsWith(`${key}=`))?.slice(key.length + 1);
      const mergeKey = word('key');
      const mapType = word('map') as Field['mapType'];
      const field = head.slice(0, required ? colon - 1 : colon);
      fields.set(field, {
        schema: typeOf(head.slice(colon + 1)),
        required,
        ...(!required && meaningful !== undefined && !meaningful.has(field) && { omitEmpty: true }),
        strategies: word('patch')?.split(',') ?? [],
        ...(mergeKey !== undefined && { mergeKey }),
        listType: (word('list') ?? 'atomic') as Field['listType'],
        listKeys: word('by')?.split(',') ?? [],
        ...(mapType !== undefined && { mapType }),
      });
    }
  }
  return schemas;
}

/** Fields of a type whose zero says something; undefined where nothing is known of the type. */
function zeroMeans(type: string): ReadonlySet<string> | undefined {
  const numbers = fieldNumbers[type];
  if (numbers === undefined) return undefined;
  const fields = new Set<string>();
  for (const entry of numbers.split(' ')) {
    const equals = entry.indexOf('=');
    const inner = entry.slice(equals + 1);
    // Fields of a message that belong to the outer object.
    if (inner.startsWith('>')) for (const field of zeroMeans(inner.slice(1)) ?? []) fields.add(field);
    else if (entry[equals - 1] === '*') fields.add(inner);
  }
  return fields;
}

const schemas = readTypes();

const names: ReadonlyMap<ObjectSchema, string> = new Map([...schemas].map(([name, schema]) => [schema, name]));

/** `core/v1.PodSpec`, as the facts tables name a type. */
export function typeName(schema: ObjectSchema): string {
  return names.get(schema) ?? schema.name;
}

/** Every type, those inside others too, by its name in the facts table: `core/v1.PodSpec`. */
export const builtInTypes: ReadonlyMap<string, ObjectSchema> = schemas;

/** @throws when the kind is not built in: a mistake of the caller. */
export function schemaOf({ group, version, kind }: GroupVersionKind): ObjectSchema {
  const name = kinds[`${group}/${version}/${kind}`];
  const schema = name === undefined ? undefined : schemas.get(name);
  if (schema === undefined) throw new Error(`no schema for ${group}/${version} ${kind}`);
  return schema;
}

export function patchSchemaOf(gvk: GroupVersionKind): PatchSchema {
  return patchSchema(schemaOf(gvk));
}

/** As {@link decodeBy}, for a built-in kind. @throws StatusError BadRequest */
export function decode(
  gvk: GroupVersionKind,
  value: unknown,
  mode: 'Strict' | 'Warn' | 'Ignore',
  warn: (message: string) => void,
): Readonly<Record<string, unknown>> {
  return decodeBy(schemaOf(gvk), value, { mode, warn, kind: gvk.kind, version: gvk.version });
}
