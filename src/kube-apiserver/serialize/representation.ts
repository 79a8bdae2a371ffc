/**
 * Values into bytes: the one place that knows every representation of objects, lists and watch events. JSON of stored objects is copied
 * from what the store holds; watch events and other forms of stored objects are made once for all who ask.
 */
import { stringify as yamlOf } from 'yaml';
import { apiVersionOf } from '#api-kube/resource.ts';
import { protobufType } from '#kube-machinery/protobuf-object.ts';
import type { HttpResponse } from '#transport/http.ts';
import type { KubeObject } from '../object.ts';
import type { StoredObject } from '../storage/stored-object.ts';
import { atRevision, type EncodeContext, servedOf, type WatchEvent, type WatchEventType } from './encode-context.ts';
import { encodeListJson } from './list-json.ts';
import { contentTypeOf, type Representation } from './media.ts';
import { type ListMeta, partialMetadataListOf, partialMetadataOf } from './partial-metadata.ts';
import { isProtobuf, protobufEvent, protobufItem, protobufList, protobufOf } from './protobuf.ts';
import { tableOf } from './table.ts';

export interface Encoded {
  readonly contentType: string;
  readonly body: HttpResponse['body'];
}

/** Any value: Status, discovery, reviews. */
export function encodeValue(
  value: object,
  representation: Pick<Representation, 'format' | 'pretty'>,
): Encoded & { readonly body: Buffer } {
  if (representation.format === 'protobuf') {
    const body = protobufOf(value);
    // What has no protobuf form is told in JSON, which every client of protobuf reads.
    return body === undefined
      ? encodeValue(value, { format: 'json', pretty: representation.pretty })
      : { contentType: protobufType, body };
  }
  const text =
    representation.format === 'yaml'
      ? yamlOf(value, { version: '1.1', aliasDuplicateObjects: false, lineWidth: 0 })
      : `${representation.pretty ? JSON.stringify(value, null, 2) : JSON.stringify(value)}\n`;
  return { contentType: contentTypeOf(representation), body: Buffer.from(text) };
}

/** Compact JSON of objects as they are: what is copied from the store where the version is the stored one. */
function isPlainJson({ as, format, pretty }: Representation): boolean {
  return as === 'Object' && format === 'json' && !pretty;
}

/** A stored object. */
export function encodeItem(item: StoredObject, context: EncodeContext): Encoded {
  if (isProtobuf(context)) return { contentType: protobufType, body: protobufItem(item, context) };
  if (!isPlainJson(context.representation) || context.served.conversion)
    return encodeObject(servedOf(item, context.served), context);
  return { contentType: 'application/json', body: item.json() };
}

/** An object in the version that is served. */
export function encodeObject(object: KubeObject, context: EncodeContext): Encoded {
  const { representation, served, include, nowMs } = context;
  if (isPlainJson(representation)) return { contentType: 'application/json', body: jsonOf(object) };
  switch (representation.as) {
    case 'Object':
      return encodeValue(object, representation);
    case 'PartialObjectMetadata':
      return encodeValue(partialMetadataOf(object), representation);
    case 'Table': {
      const meta = { resourceVersion: object.metadata.resourceVersion ?? '' };
      return encodeValue(tableOf(served.table, [object], { meta, include, nowMs, columns: true }), representation);
    }
  }
}

/** Compact JSON, `kind` and `apiVersion` first. */
function jsonOf({ kind, apiVersion, ...rest }: KubeObject): Buffer {
  return Buffer.from(JSON.stringify({ kind, apiVersion, ...rest }));
}

export async function encodeList(
  items: readonly StoredObject[],
  meta: ListMeta,
  context: EncodeContext,
): Promise<Encoded> {
  const { representation, served, include, nowMs } = context;
  const type = { kind: served.resource.listKind, apiVersion: apiVersionOf(served.resource) };
  if (isProtobuf(context)) return { contentType: protobufType, body: await protobufList(items, meta, context) };
  if (isPlainJson(representation) && !served.conversion)
    return { contentType: 'application/json', body: encodeListJson(items, { ...type, metadata: meta }) };
  const objects = items.map((item) => servedOf(item, served));
  switch (representation.as) {
    case 'Table':
      return encodeValue(tableOf(served.table, objects, { meta, include, nowMs, columns: true }), representation);
    case 'PartialObjectMetadata':
      return encodeValue(partialMetadataListOf(objects, meta), representation);
    case 'Object': {
      const bare = objects.map(({ kind: _, apiVersion: __, ...item }) => item);
      return encodeValue({ ...type, metadata: meta, items: bare }, representation);
    }
  }
}

const newline = Buffer.from('}\n');
const heads: Readonly<Record<WatchEventType, Buffer>> = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
  BOOKMARK: Buffer.from('{"type":"BOOKMARK","object":'),
  ERROR: Buffer.from('{"type":"ERROR","object":'),
};

/** One line of a watch, or one frame of protobuf. Watches are JSON else, whatever the list's format is. @param first the columns go with the first table only */
export function encodeWatchEvent(event: WatchEvent, context: EncodeContext, first: boolean): Buffer {
  const { representation, served, memo } = context;
  const { type, item, revision, change } = event;
  if (isProtobuf(context)) return protobufEvent(event, context);
  if (representation.as !== 'Object') return lineOf(type, viewOf(event, context, first));
  if (type === 'BOOKMARK') return lineOf(type, item.object);
  const make = () => {
    if (served.conversion) return lineOf(type, servedOf(atRevision(item, revision), served));
    return Buffer.concat([heads[type], item.json(revision), newline]);
  };
  if (change === undefined) return make();
  return memo.of(change, `json ${type} ${apiVersionOf(served.resource)}`, make);
}

function viewOf({ type, item, revision }: WatchEvent, context: EncodeContext, first: boolean): object {
  const { representation, served, include, nowMs } = context;
  const object = servedOf(atRevision(item, revision), served);
  if (representation.as === 'PartialObjectMetadata') return partialMetadataOf(object);
  return tableOf(served.table, type === 'BOOKMARK' ? [] : [object], {
    meta: { resourceVersion: object.metadata.resourceVersion ?? '' },
    include,
    nowMs,
    columns: first,
  });
}

function lineOf(type: WatchEventType, object: object): Buffer {
  return Buffer.concat([heads[type], Buffer.from(JSON.stringify(object)), newline]);
}
