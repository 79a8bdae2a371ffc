/**
 * Extracts the facts of the Kubernetes API (fields, types, list types, merge keys) from upstream's OpenAPI document among the fixtures and
 * writes `src/api-kube/facts.ts`. Run by hand when the target version moves; a test compares the committed table with the document.
 *
 *     bin/node tools/facts.ts
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { resources } from '../src/api-kube/resources.ts';

export interface Property {
  readonly type?: string;
  readonly format?: string;
  readonly $ref?: string;
  readonly items?: Property;
  readonly additionalProperties?: Property;
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: string;
  readonly 'x-kubernetes-patch-strategy'?: string;
  readonly 'x-kubernetes-patch-merge-key'?: string;
}

interface Definition extends Property {
  readonly properties?: Readonly<Record<string, Property>>;
  readonly required?: readonly string[];
  readonly 'x-kubernetes-group-version-kind'?: readonly { group: string; version: string; kind: string }[];
}

export interface Document {
  readonly definitions: Readonly<Record<string, Definition>>;
}

/** `io.k8s.api.core.v1.Pod` → `core/v1.Pod`. */
export function shortName(name: string): string {
  const match = /([^.]+)\.(v\d+(?:(?:alpha|beta)\d+)?)\.([^.]+)$/.exec(name);
  return match === null ? name.slice(name.lastIndexOf('.') + 1) : `${match[1]}/${match[2]}.${match[3]}`;
}

/** Types that stand for themselves, by short name. */
const leaves: Readonly<Record<string, string>> = {
  Quantity: 'quantity',
  IntOrString: 'int-or-string',
  RawExtension: 'any',
  'meta/v1.Time': 'time',
  'meta/v1.MicroTime': 'time',
  'meta/v1.FieldsV1': 'any',
  'meta/v1.Patch': 'any',
  'apiextensions/v1.JSON': 'any',
  'apiextensions/v1.JSONSchemaPropsOrArray': 'any',
  'apiextensions/v1.JSONSchemaPropsOrBool': 'any',
  'apiextensions/v1.JSONSchemaPropsOrStringArray': 'any',
  'apiextensions/v1.CustomResourceSubresourceStatus': 'any',
};

function typeOf({ type, format, $ref, items, additionalProperties }: Property): string {
  if ($ref !== undefined) {
    const short = shortName($ref.slice($ref.lastIndexOf('/') + 1));
    return leaves[short] ?? `@${short}`;
  }
  if (type === 'array') return `[${typeOf(items!)}]`;
  if (type === 'object') return additionalProperties ? `{${typeOf(additionalProperties)}}` : 'any';
  if (type === 'string') return format === 'byte' ? 'bytes' : format === 'date-time' ? 'time' : 'string';
  if (type === 'integer') return format ?? 'int64';
  if (type === 'number') return 'double';
  if (type === 'boolean') return 'bool';
  throw new Error(`unknown type ${type}`);
}

/** One field: `name!:type` and its words, `merge=KEY`, `list=TYPE`, `keys=A,B`. */
function fieldOf(name: string, property: Property, required: boolean): string {
  const words = [`${name}${required ? '!' : ''}:${typeOf(property)}`];
  const strategy = property['x-kubernetes-patch-strategy'];
  if (strategy !== undefined) words.push(`patch=${strategy}`);
  const mergeKey = property['x-kubernetes-patch-merge-key'];
  if (mergeKey !== undefined) words.push(`key=${mergeKey}`);
  const list = property['x-kubernetes-list-type'];
  if (list !== undefined && list !== 'atomic') words.push(`list=${list}`);
  const keys = property['x-kubernetes-list-map-keys'];
  if (keys !== undefined) words.push(`by=${keys.join(',')}`);
  if (property['x-kubernetes-map-type'] !== undefined) words.push(`map=${property['x-kubernetes-map-type']}`);
  return words.join(' ');
}

/** The table's text. */
export function factsOf({ definitions }: Document): string {
  const served = new Set(resources.map(({ group, version, kind }) => `${group}/${version}/${kind}`));
  for (const { group, version, subresources } of resources)
    for (const sub of subresources) served.add(`${sub.group ?? group}/${sub.version ?? version}/${sub.kind}`);
  served.add('/v1/DeleteOptions');
  const kinds = new Map<string, string>();
  const types = new Map<string, string>();
  const visit = (long: string) => {
    const short = shortName(long);
    if (types.has(short) || leaves[short] !== undefined) return;
    const definition = definitions[long]!;
    types.set(short, '');
    const required = new Set(definition.required ?? []);
    const properties = Object.entries(definition.properties ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    const atomic = definition['x-kubernetes-map-type'] === 'atomic' ? ['(atomic)'] : [];
    types.set(
      short,
      [...atomic, ...properties.map(([name, property]) => fieldOf(name, property, required.has(name)))].join('; '),
    );
    const follow = (property: Property | undefined): void => {
      if (property === undefined) return;
      if (property.$ref !== undefined) visit(property.$ref.slice(property.$ref.lastIndexOf('/') + 1));
      follow(property.items);
      follow(property.additionalProperties);
    };
    for (const [, property] of properties) follow(property);
  };
  for (const [long, definition] of Object.entries(definitions))
    for (const { group, version, kind } of definition['x-kubernetes-group-version-kind'] ?? []) {
      const gvk = `${group}/${version}/${kind}`;
      if (!served.has(gvk)) continue;
      kinds.set(gvk, shortName(long));
      visit(long);
    }
  const lines = (map: ReadonlyMap<string, string>) =>
    [...map]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `  '${key}': '${value}',`)
      .join('\n');
  return `/**
 * The fields of every built-in kind of Kubernetes 1.36, extracted by \`tools/facts.ts\`; not edited by hand. A type is a list of fields
 * \`name:type\`, \`!\` marks the required; \`@\` refers to a type, \`[]\` is a list, \`{}\` a map; then how patches and appliers merge it.
 */

/** Type of each kind, by \`group/version/Kind\`. */
export const kinds: Readonly<Record<string, string>> = {
${lines(kinds)}
};

export const types: Readonly<Record<string, string>> = {
${lines(types)}
};
`;
}

if (import.meta.main) {
  const root = new URL('..', import.meta.url).pathname;
  const fixtures = process.env['WHERRY_FIXTURES'] ?? join(root, '../shared/fixtures');
  const document = JSON.parse(
    readFileSync(join(fixtures, 'openapi/kubernetes-v1.36-openapi-v2.json'), 'utf8'),
  ) as Document;
  writeFileSync(join(root, 'src/api-kube/facts.ts'), factsOf(document));
}
