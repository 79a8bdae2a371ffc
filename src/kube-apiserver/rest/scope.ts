/** What every verb is given: the server's parts, the request as earlier stages understood it, and the resource it is about. */
import type { WatchItem } from '#etcd-client/watch-stream.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { type HttpRequest, type HttpResponse, header } from '#transport/http.ts';
import type { AdmissionPlugin } from '../admission.ts';
import type { KubeObject } from '../object.ts';
import type { ResourceRegistry, ServedResource } from '../registry.ts';
import type { RequestInfo } from '../request-info.ts';
import type { EncodeContext } from '../serialize/encode-context.ts';
import type { EncodedMemo } from '../serialize/encoded-memo.ts';
import { negotiate } from '../serialize/media.ts';
import { type Encoded, encodeObject, encodeValue } from '../serialize/representation.ts';
import { includeObjectOf } from '../serialize/table.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { WatchCache } from '../storage/watch-cache.ts';
import type { UserInfo } from '../user.ts';
import type { BookmarkTimer } from './bookmark-timer.ts';

/** The parts of the server that verbs use. */
export interface RestDeps {
  readonly store: ObjectStore;
  readonly cache: WatchCache;
  /** Changes under `prefix` from `revision` on, with what was there before. */
  readonly watchStore: (prefix: string, revision: number, signal: AbortSignal) => AsyncIterable<WatchItem>;
  readonly registry: ResourceRegistry;
  readonly memo: EncodedMemo;
  readonly admission: readonly AdmissionPlugin[];
  readonly bookmarks: BookmarkTimer;
  readonly clock: Clock;
  readonly prng: Prng;
  /** A lease that ends about `ttlSeconds` from now; many objects share one. */
  readonly leaseFor: (ttlSeconds: number) => Promise<bigint>;
  /** Tells what wrote an object, for those who ask why. */
  readonly recordWrite: (write: RecordedWrite) => void;
  readonly warn: (message: string, error?: unknown) => void;
}

export interface RecordedWrite {
  readonly verb: string;
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  readonly user: string;
  /** What the writer says made it write. */
  readonly cause: string | undefined;
  readonly resourceVersion: string;
  readonly atMs: number;
}

export interface RestScope {
  readonly deps: RestDeps;
  readonly request: HttpRequest;
  readonly info: RequestInfo;
  readonly user: UserInfo;
  readonly served: ServedResource;
  /** `Warning` headers of the answer. */
  readonly warnings: string[];
}

/** How the answer is to be encoded. @throws StatusError */
export function encodeContextOf({ deps, request, info, served }: RestScope): EncodeContext {
  return {
    memo: deps.memo,
    served,
    representation: negotiate(header(request.headers, 'accept'), isPretty(info.query), true),
    include: includeObjectOf(info.query),
    nowMs: deps.clock.now(),
  };
}

export function isPretty(query: URLSearchParams): boolean {
  const pretty = query.get('pretty');
  return pretty === 'true' || pretty === '1';
}

export function respond(scope: RestScope, status: number, encoded: Encoded): HttpResponse {
  const headers: [string, string][] = [
    ['content-type', encoded.contentType],
    ['cache-control', 'no-cache, private'],
  ];
  for (const warning of scope.warnings) headers.push(['warning', `299 - ${JSON.stringify(warning)}`]);
  return { status, headers, body: encoded.body };
}

/** Answers with an object in its served version. */
export function respondObject(scope: RestScope, status: number, object: KubeObject): HttpResponse {
  return respond(scope, status, encodeObject(object, encodeContextOf(scope)));
}

/** Answers with a value that has no table form: Status, Scale, a review. */
export function respondValue(scope: RestScope, status: number, value: object): HttpResponse {
  const representation = negotiate(header(scope.request.headers, 'accept'), isPretty(scope.info.query), false);
  return respond(scope, status, encodeValue(value, representation));
}

/** The object in the version that was asked for. */
export function servedForm({ served }: RestScope, stored: KubeObject): KubeObject {
  return served.conversion ? served.conversion.toServed(stored) : stored;
}

export function storedForm({ served }: RestScope, object: KubeObject): KubeObject {
  return served.conversion ? served.conversion.toStored(object) : object;
}
