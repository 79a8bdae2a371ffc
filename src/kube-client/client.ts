/**
 * The Kubernetes API's verbs over any `HttpHandler`, so that a component reaches our apiserver in this process, or anybody's over a
 * socket, with the same code. Objects are plain JSON, deep-immutable by convention. Must not know any kind.
 */
import { badRequestError } from '#kube-machinery/status.ts';
import { below, type Prng } from '#std/prng.ts';
import { type ExchangeConfig, exchangeJson, exchangeStream, orAborted } from './exchange.ts';
import { type ApiList, type ApiObject, apiVersionOf, pathOf, type ResourceRef } from './resource-ref.ts';
import { readWatchEvents, type WatchEvent } from './watch-events.ts';

export interface KubeClientConfig extends ExchangeConfig {
  readonly prng: Prng;
}

export interface SelectOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Ask for `metadata` alone (PartialObjectMetadata). A server that cannot sends whole objects. */
  readonly metadataOnly?: boolean;
  readonly signal?: AbortSignal;
}

export interface ListOptions extends SelectOptions {
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: 'NotOlderThan' | 'Exact';
}

export interface WatchOptions extends SelectOptions {
  readonly resourceVersion?: string;
  /** Default: a random time from 5 to 10 minutes, as client-go has it. */
  readonly timeoutSeconds?: number;
  readonly sendInitialEvents?: boolean;
}

export interface WriteOptions {
  readonly dryRun?: boolean;
  readonly fieldManager?: string;
  readonly signal?: AbortSignal;
}

export interface DeleteOptions {
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  readonly gracePeriodSeconds?: number;
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

export type PatchType = 'json' | 'merge' | 'strategic';

/** The verbs on one resource in one namespace (or cluster-wide). Every method throws StatusError for what the server answered. */
export interface ResourceClient<T extends ApiObject> {
  get(name: string, options?: { readonly resourceVersion?: string; readonly signal?: AbortSignal }): Promise<T>;
  /** One page; all of it without `limit`. */
  list(options?: ListOptions): Promise<ApiList<T>>;
  /** Page after page of at most `limit` (500) objects, all of one revision. */
  pages(options?: ListOptions): AsyncGenerator<ApiList<T>>;
  create(object: T, options?: WriteOptions): Promise<T>;
  update(object: T, options?: WriteOptions & { readonly subresource?: string }): Promise<T>;
  updateStatus(object: T, options?: WriteOptions): Promise<T>;
  patch(
    name: string,
    type: PatchType,
    patch: unknown,
    options?: WriteOptions & { readonly subresource?: string },
  ): Promise<T>;
  /** Answers the object while it is being deleted, or a Status once it is gone. */
  delete(name: string, options?: DeleteOptions): Promise<ApiObject>;
  deleteCollection(select?: SelectOptions, options?: DeleteOptions): Promise<ApiObject>;
  /** Ends when the server ends it; throws StatusError for an ERROR event. Leaving the loop closes the request. */
  watch(options?: WatchOptions): AsyncGenerator<WatchEvent<T>>;
  /** Creates on a subresource: `binding`, `eviction`, `token`. */
  post<R = ApiObject>(name: string, subresource: string, body: unknown, options?: WriteOptions): Promise<R>;
}

export interface KubeClient {
  /** @param namespace undefined or empty for cluster-scoped resources and for all namespaces */
  resource<T extends ApiObject>(ref: ResourceRef, namespace?: string): ResourceClient<T>;
  /** GET of any path, such as `/api` or `/readyz`; JSON, in the forms that `accept` names. */
  raw<T>(path: string, signal?: AbortSignal, accept?: string): Promise<T>;
  /** The same client, whose writes state why they are made (header `x-wherry-cause`). */
  withCause(cause: string): KubeClient;
}

const pageLimit = 500;

export function createKubeClient(config: KubeClientConfig, cause?: string): KubeClient {
  return {
    resource: <T extends ApiObject>(ref: ResourceRef, namespace = '') =>
      resourceClient<T>(config, ref, namespace, cause),
    raw: (path, signal, accept) =>
      exchangeJson(config, { method: 'GET', target: path, ...(signal && { signal }), ...(accept && { accept }) }),
    withCause: (text) => createKubeClient(config, text.slice(0, causeLengthMax)),
  };
}

const causeLengthMax = 1024;

function resourceClient<T extends ApiObject>(
  config: KubeClientConfig,
  ref: ResourceRef,
  namespace: string,
  cause: string | undefined,
): ResourceClient<T> {
  const path = (name?: string, subresource?: string) => {
    if (name === '') throw badRequestError('resource name may not be empty');
    return pathOf(ref, namespace, name, subresource);
  };
  const write = <R>(method: string, target: string, body: unknown, options: WriteOptions = {}, contentType?: string) =>
    exchangeJson<R>(config, {
      method,
      target: withQuery(target, { dryRun: options.dryRun ? 'All' : undefined, fieldManager: options.fieldManager }),
      body,
      ...(contentType !== undefined && { contentType }),
      ...(cause !== undefined && { cause }),
      ...(options.signal && { signal: options.signal }),
    });
  const list = async (options: ListOptions = {}) => {
    const { signal, limit, metadataOnly, ...query } = options;
    const target = withQuery(path(), { ...query, limit: limit === undefined ? undefined : String(limit) });
    return named(
      await exchangeJson<ApiList<T>>(config, {
        method: 'GET',
        target,
        ...(metadataOnly && { accept: partial('PartialObjectMetadataList') }),
        ...(signal && { signal }),
      }),
      ref,
    );
  };
  return {
    get: (name, { resourceVersion, signal } = {}) =>
      exchangeJson(config, {
        method: 'GET',
        target: withQuery(path(name), { resourceVersion }),
        ...(signal && { signal }),
      }),
    list,
    async *pages(options = {}) {
      let next = options.continue;
      do {
        // The token carries the revision: asking for both is an error.
        const { resourceVersion, resourceVersionMatch, ...rest } = options;
        const page = await list({
          ...(next === undefined ? { ...options } : rest),
          limit: options.limit ?? pageLimit,
          ...(next !== undefined && { continue: next }),
        });
        yield page;
        next = page.metadata.continue || undefined;
      } while (next !== undefined);
    },
    create: (object, options) => write('POST', path(), complete(object), options),
    update: (object, options) =>
      write('PUT', path(object.metadata.name, options?.subresource), complete(object), options),
    updateStatus: (object, options) => write('PUT', path(object.metadata.name, 'status'), complete(object), options),
    patch: (name, type, patch, options) =>
      write('PATCH', path(name, options?.subresource), patch, options, patchTypes[type]),
    delete: (name, options) => remove(path(name), options),
    deleteCollection: ({ labelSelector, fieldSelector, signal } = {}, options = {}) =>
      remove(withQuery(path(), { labelSelector, fieldSelector }), { ...options, ...(signal && { signal }) }),
    watch: (options) => watch(options),
    post: (name, subresource, body, options) => write('POST', path(name, subresource), body, options),
  };

  function complete(object: T): T {
    return object.kind !== undefined || ref.kind === undefined
      ? object
      : { apiVersion: apiVersionOf(ref), kind: ref.kind, ...object };
  }

  function remove(target: string, options: DeleteOptions = {}): Promise<ApiObject> {
    const { signal, dryRun, ...body } = options;
    return exchangeJson(config, {
      method: 'DELETE',
      target,
      body: { apiVersion: 'v1', kind: 'DeleteOptions', ...body, ...(dryRun && { dryRun: ['All'] }) },
      ...(cause !== undefined && { cause }),
      ...(signal && { signal }),
    });
  }

  async function* watch(options: WatchOptions = {}): AsyncGenerator<WatchEvent<T>> {
    const { signal, timeoutSeconds, sendInitialEvents, metadataOnly, ...query } = options;
    signal?.throwIfAborted();
    const aborter = new AbortController();
    const stop = () => aborter.abort(signal!.reason);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      const body = await exchangeStream(config, {
        method: 'GET',
        target: withQuery(path(), {
          watch: 'true',
          allowWatchBookmarks: 'true',
          timeoutSeconds: String(timeoutSeconds ?? watchSecondsMin + below(config.prng, watchSecondsMin)),
          ...(sendInitialEvents && { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' }),
          ...query,
        }),
        ...(metadataOnly && { accept: partial('PartialObjectMetadata') }),
        signal: aborter.signal,
      });
      yield* readWatchEvents<T>(untilAborted(body, aborter.signal));
    } finally {
      signal?.removeEventListener('abort', stop);
      aborter.abort(new Error('the watch is closed'));
    }
  }
}

const watchSecondsMin = 300;

const patchTypes: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
};

/** A body whose next chunk never comes still ends with its signal. */
async function* untilAborted(body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await orAborted(iterator.next(), signal);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a generator that waits for its next chunk answers `return` only after it.
    iterator.return?.()?.then(undefined, () => {});
  }
}

function partial(kind: string): string {
  return `application/json;as=${kind};g=meta.k8s.io;v=v1,application/json`;
}

/** Items of built-in lists come without their kind: it stands on the list. The objects are fresh from the parser. */
function named<T extends ApiObject>(list: ApiList<T>, ref: ResourceRef): ApiList<T> {
  const items = list.items ?? [];
  const kind = ref.kind ?? (list.kind?.endsWith('List') ? list.kind.slice(0, -4) : undefined);
  if (kind === undefined) return { ...list, items };
  for (const item of items as unknown as { apiVersion?: string; kind?: string }[])
    if (item.kind === undefined) {
      item.kind = kind;
      item.apiVersion = apiVersionOf(ref);
    }
  return { ...list, items };
}

function withQuery(path: string, parameters: Readonly<Record<string, string | undefined>>): string {
  let query = '';
  for (const [name, value] of Object.entries(parameters))
    if (value !== undefined && value !== '') query += `${query === '' ? '?' : '&'}${name}=${encodeURIComponent(value)}`;
  return path + query;
}
