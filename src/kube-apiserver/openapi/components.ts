/**
 * Kinds and the types inside them as OpenAPI schemas, named as upstream names its packages: `io.k8s.api.core.v1.Pod`. Written from the
 * type records of the schema engine, in the words of Swagger 2.0 or of OpenAPI 3.0. A kind that is not built in is an open object.
 */
import { kinds } from '#api-kube/facts.ts';
import type { GroupVersionKind } from '#api-kube/resource.ts';
import { builtInTypes } from '#kube-machinery/built-in-schemas.ts';
import type { Field, ObjectSchema, Schema } from '#kube-machinery/schema.ts';
import type { Payload } from './operations.ts';

export type Dialect = 'v2' | 'v3';

/** What a type is for, or one of its fields, by its name in the facts table: `core/v1.PodSpec`. */
export type Describe = (type: string, field?: string) => string | undefined;

export type Json = Readonly<Record<string, unknown>>;

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const references: Readonly<Record<Dialect, string>> = { v2: '#/definitions/', v3: '#/components/schemas/' };

const text = { type: 'string' };

/** Types that are no records of fields, and those of meta/v1 that only lists and answers use. */
const shared: Readonly<Record<string, (dialect: Dialect) => Json>> = {
  [`${meta}.Time`]: () => ({ type: 'string', format: 'date-time' }),
  [`${meta}.Patch`]: () => ({ type: 'object' }),
  'io.k8s.apimachinery.pkg.api.resource.Quantity': (dialect) =>
    dialect === 'v2' ? text : { oneOf: [text, { type: 'number' }] },
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': (dialect) =>
    dialect === 'v2'
      ? { type: 'string', format: 'int-or-string' }
      : { format: 'int-or-string', oneOf: [{ type: 'integer' }, text] },
  [`${meta}.ListMeta`]: () => ({
    type: 'object',
    properties: {
      continue: text,
      remainingItemCount: { type: 'integer', format: 'int64' },
      resourceVersion: text,
      selfLink: text,
    },
  }),
  [`${meta}.Status`]: (dialect) => ({
    type: 'object',
    properties: {
      apiVersion: text,
      code: { type: 'integer', format: 'int32' },
      details: refer(dialect, `${meta}.StatusDetails`),
      kind: text,
      message: text,
      metadata: refer(dialect, `${meta}.ListMeta`),
      reason: text,
      status: text,
    },
    'x-kubernetes-group-version-kind': [{ group: '', kind: 'Status', version: 'v1' }],
  }),
  [`${meta}.StatusDetails`]: (dialect) => ({
    type: 'object',
    properties: {
      causes: {
        type: 'array',
        items: refer(dialect, `${meta}.StatusCause`),
        'x-kubernetes-list-type': 'atomic',
      },
      group: text,
      kind: text,
      name: text,
      retryAfterSeconds: { type: 'integer', format: 'int32' },
      uid: text,
    },
  }),
  [`${meta}.StatusCause`]: () => ({ type: 'object', properties: { field: text, message: text, reason: text } }),
};

const refer = (dialect: Dialect, name: string): Json => ({ $ref: `${references[dialect]}${name}` });

/** `core/v1.Pod` → `io.k8s.api.core.v1.Pod`. */
export function componentName(type: string): string {
  const dotted = type.replace('/', '.');
  if (dotted.startsWith('meta.')) return `io.k8s.apimachinery.pkg.apis.${dotted}`;
  if (dotted.startsWith('apiextensions.')) return `io.k8s.apiextensions-apiserver.pkg.apis.${dotted}`;
  if (dotted.startsWith('apiregistration.')) return `io.k8s.kube-aggregator.pkg.apis.${dotted}`;
  return `io.k8s.api.${dotted}`;
}

const typeOfKind = ({ group, version, kind }: GroupVersionKind) => kinds[`${group}/${version}/${kind}`];

function kindName(gvk: GroupVersionKind): string {
  const type = typeOfKind(gvk);
  if (type !== undefined) return componentName(type);
  return [...gvk.group.split('.').reverse(), gvk.version, gvk.kind].join('.');
}

const gvksOfType = ((): ReadonlyMap<string, readonly GroupVersionKind[]> => {
  const found = new Map<string, GroupVersionKind[]>();
  for (const [key, type] of Object.entries(kinds)) {
    const [group = '', version = '', kind = ''] = key.split('/');
    found.set(type, [...(found.get(type) ?? []), { group, kind, version }]);
  }
  return found;
})();

/** Collects the schemas that a document needs: those asked for, and all that they refer to. */
export class Components {
  readonly #dialect: Dialect;
  readonly #describe: Describe;
  readonly #schemas = new Map<string, Json>();
  readonly #names = new Map<ObjectSchema, string>();

  constructor(dialect: Dialect, describe: Describe) {
    this.#dialect = dialect;
    this.#describe = describe;
    for (const [type, schema] of builtInTypes) this.#names.set(schema, type);
  }

  /** By name, in order. */
  all(): Record<string, Json> {
    return Object.fromEntries([...this.#schemas].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** The schema of what travels: mostly a reference. @param listKind of the resource, for lists */
  payload(payload: Payload, listKind: string): Json {
    switch (payload.of) {
      case 'string':
        return text;
      case 'Status':
      case 'Patch':
        return this.#shared(`${meta}.${payload.of}`);
      case 'DeleteOptions':
        return this.#object(builtInTypes.get('meta/v1.DeleteOptions')!);
      case 'kind':
        return this.#kind(payload.gvk);
      case 'list':
        return this.#list(payload.gvk, listKind);
    }
  }

  #kind(gvk: GroupVersionKind): Json {
    const type = typeOfKind(gvk);
    if (type !== undefined) return this.#object(builtInTypes.get(type)!);
    return this.#define(kindName(gvk), () => ({
      type: 'object',
      properties: { apiVersion: text, kind: text, metadata: this.#object(builtInTypes.get('meta/v1.ObjectMeta')!) },
      'x-kubernetes-preserve-unknown-fields': true,
      'x-kubernetes-group-version-kind': [gvk],
    }));
  }

  #list(gvk: GroupVersionKind, listKind: string): Json {
    const name = `${kindName(gvk).slice(0, -gvk.kind.length)}${listKind}`;
    return this.#define(name, () => ({
      description: `${listKind} is a list of ${gvk.kind} objects.`,
      type: 'object',
      required: ['items'],
      properties: {
        apiVersion: text,
        items: { type: 'array', items: this.#kind(gvk) },
        kind: text,
        metadata: this.#shared(`${meta}.ListMeta`),
      },
      'x-kubernetes-group-version-kind': [{ group: gvk.group, kind: listKind, version: gvk.version }],
    }));
  }

  #shared(name: string): Json {
    return this.#define(name, () => {
      if (name === `${meta}.Status`) for (const used of ['ListMeta', 'StatusDetails']) this.#shared(`${meta}.${used}`);
      if (name === `${meta}.StatusDetails`) this.#shared(`${meta}.StatusCause`);
      return shared[name]!(this.#dialect);
    });
  }

  #object(schema: ObjectSchema): Json {
    const type = this.#names.get(schema)!;
    return this.#define(componentName(type), () => {
      const properties: Record<string, Json> = {};
      const required: string[] = [];
      for (const [name, field] of schema.fields) {
        // A field without words of its own says at least what its type is.
        const inner = field.schema.type === 'object' ? this.#describe(this.#names.get(field.schema)!) : undefined;
        properties[name] = this.#field(field, this.#describe(type, name) ?? inner);
        if (field.required) required.push(name);
      }
      const description = this.#describe(type);
      const gvks = gvksOfType.get(type);
      return {
        ...(description !== undefined && { description }),
        type: 'object',
        ...(required.length > 0 && { required }),
        ...(schema.fields.size > 0 && { properties }),
        ...(schema.atomic && { 'x-kubernetes-map-type': 'atomic' }),
        ...(gvks && { 'x-kubernetes-group-version-kind': gvks }),
      };
    });
  }

  #field(field: Field, description: string | undefined): Json {
    const value = this.#value(field.schema);
    const words: Json = {
      ...(description !== undefined && { description }),
      ...(field.strategies.length > 0 && { 'x-kubernetes-patch-strategy': field.strategies.join(',') }),
      ...(field.mergeKey !== undefined && { 'x-kubernetes-patch-merge-key': field.mergeKey }),
      ...(field.listType !== 'atomic' && { 'x-kubernetes-list-type': field.listType }),
      ...(field.listKeys.length > 0 && { 'x-kubernetes-list-map-keys': field.listKeys }),
      ...(field.mapType !== undefined && { 'x-kubernetes-map-type': field.mapType }),
    };
    if (!('$ref' in value) || Object.keys(words).length === 0) return { ...value, ...words };
    // OpenAPI 3.0 reads nothing beside a reference.
    return this.#dialect === 'v2' ? { ...value, ...words } : { allOf: [value], ...words };
  }

  #value(schema: Schema): Json {
    switch (schema.type) {
      case 'object':
        return this.#object(schema);
      case 'list':
        return { type: 'array', items: this.#value(schema.items) };
      case 'map':
        return { type: 'object', additionalProperties: this.#value(schema.values) };
      case 'string':
        return text;
      case 'int32':
      case 'int64':
        return { type: 'integer', format: schema.type };
      case 'double':
        return { type: 'number', format: 'double' };
      case 'bool':
        return { type: 'boolean' };
      case 'bytes':
        return { type: 'string', format: 'byte' };
      case 'time':
        return this.#shared(`${meta}.Time`);
      case 'quantity':
        return this.#shared('io.k8s.apimachinery.pkg.api.resource.Quantity');
      case 'int-or-string':
        return this.#shared('io.k8s.apimachinery.pkg.util.intstr.IntOrString');
      case 'any':
        return this.#dialect === 'v2' ? {} : { 'x-kubernetes-preserve-unknown-fields': true };
    }
  }

  /** Defines a schema once and refers to it; the name is taken before its fields are read, since types contain themselves. */
  #define(name: string, make: () => Json): Json {
    if (!this.#schemas.has(name)) {
      this.#schemas.set(name, {});
      this.#schemas.set(name, make());
    }
    return refer(this.#dialect, name);
  }
}
