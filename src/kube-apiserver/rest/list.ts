/**
 * `GET` of a collection. The first page comes from the cache, at least as new as the request demands; further pages and lists at an
 * exact revision come from etcd at that revision. Semantics of resourceVersion: upstream's "Resource version parameter for list".
 */
import { badRequestError, expiredError } from '#kube-machinery/status.ts';
import type { HttpResponse } from '#transport/http.ts';
import { RpcError } from '#wire/grpc/status.ts';
import type { ListMeta } from '../serialize/partial-metadata.ts';
import { encodeList } from '../serialize/representation.ts';
import { decodeContinueToken, encodeContinueToken } from '../storage/continue-token.ts';
import type { ListPage } from '../storage/object-store.ts';
import { prefixOf, type StoredObject } from '../storage/stored-object.ts';
import { refuseDamaged } from './damaged.ts';
import { type ListOptions, listOptionsOf } from './options.ts';
import { encodeContextOf, type RestScope, respond } from './scope.ts';
import { everything, selects } from './selection.ts';

export interface Listed {
  readonly items: readonly StoredObject[];
  readonly meta: ListMeta;
}

export async function list(scope: RestScope): Promise<HttpResponse> {
  const { info, served } = scope;
  const context = encodeContextOf(scope);
  const options = listOptionsOf(withName(info.query, info.name), served);
  const { items, meta } = await listStored(scope, options);
  return respond(scope, 200, await encodeList(items, meta, context));
}

/** A list under a name is a list of that one. */
function withName(query: URLSearchParams, name: string): URLSearchParams {
  if (name === '') return query;
  const named = new URLSearchParams(query);
  const fields = query.get('fieldSelector');
  named.set('fieldSelector', fields ? `${fields},metadata.name=${name}` : `metadata.name=${name}`);
  return named;
}

export async function listStored(scope: RestScope, options: ListOptions): Promise<Listed> {
  const { deps, info, served, request } = scope;
  const prefix = prefixOf(served.resource, served.resource.namespaced ? info.namespace : '');
  const wanted = selects(options, served);

  if (options.continueToken !== '') {
    if (options.resourceVersion !== undefined && options.resourceVersion !== 0)
      throw badRequestError('specifying resource version is not allowed when using continue');
    const token = decodeContinueToken(options.continueToken);
    const revision = Math.max(token.revision, 0);
    return pages(scope, prefix, `${prefix}${token.start}`, revision, options, wanted);
  }
  if (options.match === 'Exact' || (options.match === undefined && isExactByLimit(options)))
    return pages(scope, prefix, prefix, options.resourceVersion!, options, wanted);

  const { cache, store } = deps;
  await cache.waitFor(options.resourceVersion ?? (await store.currentRevision()), request.signal);
  const { revision } = cache;
  const entries = cache.kind(served.resource.storagePath).range(prefix);
  refuseDamaged(scope, entries);
  if (wanted === everything && (options.limit === 0 || options.limit >= entries.length))
    return { items: entries, meta: { resourceVersion: String(revision) } };
  const items: StoredObject[] = [];
  for (let i = 0; i < entries.length; i++) {
    const item = entries[i]!;
    if (!wanted(item)) continue;
    items.push(item);
    if (items.length === options.limit && i + 1 < entries.length) {
      const start = entries[i]!.key.slice(prefix.length);
      return {
        items,
        meta: {
          resourceVersion: String(revision),
          continue: encodeContinueToken({ revision, start: `${start}\0` }),
          ...remaining(options, entries.length - i - 1),
        },
      };
    }
  }
  return { items, meta: { resourceVersion: String(revision) } };
}

/** A limit with a resourceVersion other than 0 means that very version. */
function isExactByLimit({ limit, resourceVersion }: ListOptions): boolean {
  return limit > 0 && resourceVersion !== undefined && resourceVersion !== 0;
}

/** With selectors nobody knows how many are left. */
function remaining({ labels, fields }: ListOptions, count: number): ListMeta {
  return labels.length === 0 && fields.length === 0 ? { remainingItemCount: count } : {};
}

/** Pages of etcd at one revision until the limit is filled. */
async function pages(
  scope: RestScope,
  prefix: string,
  from: string,
  revision: number,
  options: ListOptions,
  wanted: (item: StoredObject) => boolean,
): Promise<Listed> {
  const items: StoredObject[] = [];
  let at = revision;
  for (let start: string | undefined = from; start !== undefined; ) {
    let page: ListPage;
    try {
      page = await scope.deps.store.list(prefix, { start, revision: at, limit: options.limit });
    } catch (error) {
      if (error instanceof RpcError && error.message.includes('required revision has been compacted'))
        throw compacted(start.slice(prefix.length), options.continueToken !== '');
      throw error;
    }
    at = page.revision;
    refuseDamaged(scope, page.items);
    for (const [index, item] of page.items.entries()) {
      if (!wanted(item)) continue;
      items.push(item);
      const last = index + 1 === page.items.length && page.next === undefined;
      if (items.length === options.limit && !last)
        return {
          items,
          meta: {
            resourceVersion: String(at),
            continue: encodeContinueToken({ revision: at, start: `${item.key.slice(prefix.length)}\0` }),
            ...remaining(options, page.remaining + page.items.length - index - 1),
          },
        };
    }
    start = page.next;
  }
  return { items, meta: { resourceVersion: String(at) } };
}

/** 410 with a token that goes on inconsistently, as upstream offers. */
function compacted(start: string, continuing: boolean) {
  if (!continuing) return expiredError('The resourceVersion for the provided list is too old.');
  const error = expiredError(
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
  );
  const token = encodeContinueToken({ revision: -1, start });
  return Object.assign(error, { status: { ...error.status, metadata: { continue: token } } });
}
