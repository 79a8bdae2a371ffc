/**
 * Values into bytes: the one place that knows every representation of objects, lists and watch events. JSON of stored objects is copied
 * from the memo; the others are made for the one who asked.
 */
import { stringify as yamlOf } from 'yaml';
import type { KubeObject } from '../object.ts';
import type { ServedResource } from '../registry.ts';
import type { JsonMemo } from './json-memo.ts';
import { contentTypeOf, type Representation } from './media.ts';
import { type ListMeta, partialMetadataListOf, partialMetadataOf } from './partial-metadata.ts';
import { type IncludeObject, tableOf } from './table.ts';

export interface Encoded {
  readonly contentType: string;
  readonly body: Buffer;
}

export interface EncodeContext {
  readonly memo: JsonMemo;
  readonly served: ServedResource;
  readonly representation: Representation;
  readonly include: IncludeObject;
  readonly nowMs: number;
}

/** Any value: Status, discovery, reviews. */
export function encodeValue(value: object, representation: Pick<Representation, 'format' | 'pretty'>): Encoded {
  const text =
    representation.format === 'yaml'
      ? yamlOf(value, { version: '1.1', aliasDuplicateObjects: false, lineWidth: 0 })
      : `${representation.pretty ? JSON.stringify(value, null, 2) : JSON.stringify(value)}\n`;
  return { contentType: contentTypeOf(representation), body: Buffer.from(text) };
}

export function encodeObject(object: KubeObject, context: EncodeContext): Encoded {
  const { representation, served } = context;
  if (representation.as === 'Object' && representation.format === 'json' && !representation.pretty)
    return { contentType: 'application/json', body: context.memo.of(object) };
  return encodeValue(viewOf(object, context, true), representation);
  function viewOf(one: KubeObject, { include, nowMs }: EncodeContext, columns: boolean): object {
    if (representation.as === 'PartialObjectMetadata') return partialMetadataOf(one);
    if (representation.as === 'Object') return one;
    const meta = { resourceVersion: one.metadata.resourceVersion ?? '' };
    return tableOf(served.table, [one], { meta, include, nowMs, columns });
  }
}

const comma = Buffer.from(',');
const open = Buffer.from('{');
const close = Buffer.from(']}\n');

export function encodeList(objects: readonly KubeObject[], meta: ListMeta, context: EncodeContext): Encoded {
  const { representation, served, include, nowMs, memo } = context;
  const { group, version, listKind } = served.resource;
  const apiVersion = group === '' ? version : `${group}/${version}`;
  if (representation.as === 'Table')
    return encodeValue(tableOf(served.table, objects, { meta, include, nowMs, columns: true }), representation);
  if (representation.as === 'PartialObjectMetadata')
    return encodeValue(partialMetadataListOf(objects, meta), representation);
  if (representation.format !== 'json' || representation.pretty) {
    const items = objects.map(({ kind: _, apiVersion: __, ...item }) => item);
    return encodeValue({ kind: listKind, apiVersion, metadata: meta, items }, representation);
  }
  const head = `{"kind":"${listKind}","apiVersion":"${apiVersion}","metadata":${JSON.stringify(meta)},"items":[`;
  const chunks: Buffer[] = [Buffer.from(head)];
  for (const [index, object] of objects.entries()) {
    if (index > 0) chunks.push(comma);
    chunks.push(open, memo.itemTail(object));
  }
  chunks.push(close);
  return { contentType: 'application/json', body: Buffer.concat(chunks) };
}

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';

const newline = Buffer.from('}\n');
const heads: Readonly<Record<WatchEventType, Buffer>> = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
  BOOKMARK: Buffer.from('{"type":"BOOKMARK","object":'),
  ERROR: Buffer.from('{"type":"ERROR","object":'),
};

/** One line of a watch. Watches are JSON whatever the list's format is. @param first the columns go with the first table only */
export function encodeWatchEvent(
  type: WatchEventType,
  object: KubeObject,
  context: EncodeContext,
  first: boolean,
): Buffer {
  const { representation, served, include, nowMs, memo } = context;
  const view =
    type === 'ERROR' || representation.as === 'Object'
      ? undefined
      : representation.as === 'PartialObjectMetadata'
        ? partialMetadataOf(object)
        : tableOf(served.table, type === 'BOOKMARK' ? [] : [object], {
            meta: { resourceVersion: object.metadata.resourceVersion ?? '' },
            include,
            nowMs,
            columns: first,
          });
  const bytes = view === undefined ? memo.of(object) : Buffer.from(JSON.stringify(view));
  return Buffer.concat([heads[type], bytes, newline]);
}
