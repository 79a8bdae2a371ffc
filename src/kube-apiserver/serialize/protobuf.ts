/**
 * Objects, lists and watch events as `application/vnd.kubernetes.protobuf`, which kubelets and controllers ask for first. Messages of stored objects are
 * made once for all who ask.
 */
import { apiVersionOf } from '#api-kube/resource.ts';
import {
  encodeMessage,
  encodePartialMessage,
  encodeStatus,
  envelope,
  hasProtobuf,
  watchFrame,
} from '#kube-machinery/protobuf-encoder.ts';
import type { Status } from '#kube-machinery/status.ts';
import type { HttpResponse } from '#transport/http.ts';
import type { KubeObject } from '../object.ts';
import type { StoredObject } from '../storage/stored-object.ts';
import { atRevision, type EncodeContext, servedOf, type WatchEvent } from './encode-context.ts';
import { encodeListProtobuf } from './list-protobuf.ts';
import type { ListMeta } from './partial-metadata.ts';

const partial = { apiVersion: 'meta.k8s.io/v1', kind: 'PartialObjectMetadata' };

/** Is protobuf asked for, and is there one? */
export function isProtobuf({ representation, served }: EncodeContext): boolean {
  return (
    representation.format === 'protobuf' &&
    (representation.as === 'PartialObjectMetadata' || hasProtobuf(served.resource))
  );
}

function messageOf(object: KubeObject, { representation, served }: EncodeContext): Buffer {
  return representation.as === 'PartialObjectMetadata'
    ? encodePartialMessage(object.metadata as Readonly<Record<string, unknown>>)
    : encodeMessage(served.resource, object);
}

function itemMessage(item: StoredObject, context: EncodeContext): Buffer {
  const { memo, served, representation } = context;
  const variant = `protobuf ${representation.as} ${apiVersionOf(served.resource)}`;
  return memo.of(item, variant, () => messageOf(servedOf(item, served), context));
}

function typeOf({ representation, served }: EncodeContext): { readonly apiVersion: string; readonly kind: string } {
  return representation.as === 'PartialObjectMetadata'
    ? partial
    : { apiVersion: apiVersionOf(served.resource), kind: served.resource.kind };
}

export function protobufItem(item: StoredObject, context: EncodeContext): Buffer {
  const { apiVersion, kind } = typeOf(context);
  return envelope(apiVersion, kind, itemMessage(item, context));
}

/** Long lists are made in slices, and handed on in pieces. */
export function protobufList(
  items: readonly StoredObject[],
  meta: ListMeta,
  context: EncodeContext,
): Promise<HttpResponse['body']> {
  const { apiVersion, kind } = typeOf(context);
  const listKind = context.representation.as === 'Object' ? context.served.resource.listKind : `${kind}List`;
  return encodeListProtobuf(items, (item) => itemMessage(item, context), { apiVersion, kind: listKind, meta });
}

export function protobufEvent({ type, item, revision, change }: WatchEvent, context: EncodeContext): Buffer {
  const { memo, served, representation } = context;
  const { apiVersion, kind } = typeOf(context);
  const make = () => {
    const object = type === 'BOOKMARK' ? item.object : servedOf(atRevision(item, revision), served);
    return watchFrame(type, envelope(apiVersion, kind, messageOf(object, context)));
  };
  if (change === undefined) return make();
  return memo.of(change, `protobuf ${type} ${representation.as} ${apiVersionOf(served.resource)}`, make);
}

/** A Status, or an object of a kind that has a protobuf form. */
export function protobufOf(value: object): Buffer | undefined {
  const { apiVersion = '', kind = '', metadata } = value as Partial<KubeObject>;
  if (kind === 'Status') return encodeStatus(value as Status);
  if (apiVersion === partial.apiVersion && kind === partial.kind)
    return envelope(apiVersion, kind, encodePartialMessage((metadata ?? {}) as Readonly<Record<string, unknown>>));
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  const gvk = { group, version, kind };
  return hasProtobuf(gvk)
    ? envelope(apiVersion, kind, encodeMessage(gvk, value as Readonly<Record<string, unknown>>))
    : undefined;
}
