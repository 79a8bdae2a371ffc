/**
 * `GET` with `watch=true`: a line of JSON for each change. Starts at the present (the state as ADDED events first), or at a
 * resourceVersion, from the cache's recent history, or from etcd itself as far back as etcd remembers. Source: upstream's watch semantics
 * and KEP-3157 (sendInitialEvents).
 */
import { Event_EventType } from '#api-etcd/gen/kv.ts';
import { encodeStatus, watchFrame } from '#kube-machinery/protobuf-encoder.ts';
import { protobufType } from '#kube-machinery/protobuf-object.ts';
import { expiredError, internalError, StatusError } from '#kube-machinery/status.ts';
import { utf8Decode } from '#std/bytes.ts';
import { below } from '#std/prng.ts';
import type { HttpResponse } from '#transport/http.ts';
import type { WatchEvent } from '../serialize/encode-context.ts';
import { isProtobuf } from '../serialize/protobuf.ts';
import { encodeWatchEvent } from '../serialize/representation.ts';
import type { KindChange } from '../storage/kind-cache.ts';
import { decodeStored, prefixOf, StoredObject, StoredObjectError } from '../storage/stored-object.ts';
import { deletedDamage } from './damaged.ts';
import { listOptionsOf } from './options.ts';
import { encodeContextOf, type RestScope } from './scope.ts';
import { selects } from './selection.ts';
import { WatchQueue } from './watch-queue.ts';

/** Watches without a timeout end after this long or up to twice that; upstream's --min-request-timeout. */
const minTimeoutSeconds = 1800;

type Test = (item: StoredObject) => boolean;

export async function watch(scope: RestScope): Promise<HttpResponse> {
  const { deps, info, served, request } = scope;
  const { clock, cache, store } = deps;
  const context = encodeContextOf(scope);
  const options = listOptionsOf(info.query, served);
  const fields =
    info.name === ''
      ? options.fields
      : [...options.fields, { field: 'metadata.name', operator: '=' as const, value: info.name }];
  const wanted = selects({ labels: options.labels, fields }, served);
  const prefix = prefixOf(served.resource, served.resource.namespaced ? info.namespace : '');

  const from = options.resourceVersion ?? 0;
  const withState = options.sendInitialEvents ?? from === 0;
  if (withState)
    await cache.waitFor(
      from === 0 && options.resourceVersion === undefined ? await store.currentRevision() : from,
      request.signal,
    );
  // Nothing waits from here until the watch follows the cache: no change falls between.
  const kind = cache.kind(served.resource.storagePath);
  const queue = new WatchQueue();
  const start = withState ? cache.revision : from;
  let initial: readonly StoredObject[] = [];
  if (withState) initial = kind.range(prefix);
  else if (start >= kind.historyStart) queue.push(kind.since(start));
  if (withState || start >= kind.historyStart) {
    const following = kind.follow({
      change: (change) => {
        // A start in the future is kept, too.
        if (change.revision > start) queue.push([change]);
      },
      lost: () => queue.end(),
    });
    queue.onEnd(() => following[Symbol.dispose]());
  } else {
    replay(scope, prefix, start, queue);
  }
  const timeoutMs = (options.timeoutSeconds ?? minTimeoutSeconds + below(deps.prng, minTimeoutSeconds)) * 1000;
  const timer = clock.after(timeoutMs, () => queue.end());
  queue.onEnd(() => timer[Symbol.dispose]());
  if (options.bookmarks) {
    const bookmarks = deps.bookmarks.follow(() => queue.nudge());
    queue.onEnd(() => bookmarks[Symbol.dispose]());
  }
  if (request.signal.aborted) queue.end();
  else request.signal.addEventListener('abort', () => queue.end(), { once: true });

  const headers: [string, string][] = [
    ['content-type', isProtobuf(context) ? `${protobufType};stream=watch` : 'application/json'],
    ['cache-control', 'no-cache, private'],
  ];
  return { status: 200, headers, body: lines() };

  async function* lines(): AsyncGenerator<Uint8Array> {
    let first = true;
    const line = (event: WatchEvent): Buffer => {
      const bytes = encodeWatchEvent(event, context, first);
      if (event.type !== 'BOOKMARK') first = false;
      return bytes;
    };
    const failed = (error: StatusError): Buffer =>
      isProtobuf(context) ? watchFrame('ERROR', encodeStatus(error.status)) : errorLine(error);
    const bookmark = (revision: number, initialEnd: boolean): Buffer =>
      line({ type: 'BOOKMARK', item: bookmarkOf(scope, revision, initialEnd), revision });
    // Lines that were made and not yet handed on.
    let made: Buffer[] = [];
    const taken = (): Buffer => {
      const bytes = made.length === 1 ? made[0]! : Buffer.concat(made);
      made = [];
      return bytes;
    };
    try {
      let madeBytes = 0;
      for (const item of initial) {
        if (!wanted(item)) continue;
        const bytes = line({ type: 'ADDED', item, revision: item.revision });
        made.push(bytes);
        madeBytes += bytes.length;
        if (madeBytes > 64 << 10) {
          yield taken();
          madeBytes = 0;
        }
      }
      initial = [];
      if (options.sendInitialEvents && options.bookmarks) made.push(bookmark(start, true));
      if (made.length > 0) yield taken();
      let bookmarked = start;
      for (;;) {
        const changes = await queue.take();
        if (changes === 'ended') break;
        if (changes === 'idle') {
          if (cache.revision > bookmarked) {
            bookmarked = cache.revision;
            yield bookmark(bookmarked, false);
          }
          continue;
        }
        for (const change of changes) {
          bookmarked = change.revision;
          const event = eventOf(change, prefix, wanted);
          if (event !== undefined) made.push(line(event));
        }
        if (made.length > 0) yield taken();
      }
      if (queue.error !== undefined) yield failed(queue.error);
    } catch (error) {
      // The client reads everything again, and is told there.
      if (error instanceof StatusError) made.push(failed(error));
      else if (error instanceof StoredObjectError) made.push(failed(internalError(error.why)));
      else throw error;
      yield taken();
    } finally {
      queue.end();
    }
  }
}

/** What a change is to a watcher who sees only some objects. */
function eventOf(change: KindChange, prefix: string, wanted: Test): WatchEvent | undefined {
  const { before, after, revision } = change;
  if (!(after ?? before)!.key.startsWith(prefix)) return undefined;
  const damage = before?.damage;
  if (damage !== undefined && after === undefined) throw deletedDamage(damage);
  // Nobody has seen what cannot be read.
  const was = before !== undefined && damage === undefined && wanted(before);
  const is = after !== undefined && wanted(after);
  if (is) return { type: was ? 'MODIFIED' : 'ADDED', item: after, revision, change };
  // An object that went out of sight is shown as it was when last seen, at the revision of the change.
  if (was) return { type: 'DELETED', item: before, revision, change };
  return undefined;
}

function bookmarkOf(scope: RestScope, revision: number, initialEnd: boolean): StoredObject {
  const { group, version, kind } = scope.served.resource;
  const object = {
    kind,
    apiVersion: group === '' ? version : `${group}/${version}`,
    metadata: {
      resourceVersion: String(revision),
      creationTimestamp: null,
      ...(initialEnd && { annotations: { 'k8s.io/initial-events-end': 'true' } }),
    },
  };
  return new StoredObject('', revision, { object });
}

function errorLine(error: StatusError): Buffer {
  return Buffer.from(`{"type":"ERROR","object":${JSON.stringify(error.status)}}\n`);
}

/** Follows etcd itself from a revision that the cache no longer remembers. */
function replay({ deps, request }: RestScope, prefix: string, from: number, queue: WatchQueue): void {
  const abort = new AbortController();
  queue.onEnd(() => abort.abort());
  const { watchStore } = deps;
  void (async () => {
    try {
      for await (const item of watchStore(prefix, from + 1, AbortSignal.any([abort.signal, request.signal]))) {
        if (item.kind === 'compacted') {
          queue.fail(expiredError(`too old resource version: ${from} (${item.compactRevision})`));
          return;
        }
        if (item.kind !== 'events') continue;
        queue.push(
          item.events.map((event) => {
            const key = utf8Decode(event.kv!.key);
            const revision = event.kv!.modRevision;
            const before = event.prevKv && decodeStored(key, event.prevKv.value, event.prevKv.modRevision);
            const after =
              event.type === Event_EventType.DELETE ? undefined : decodeStored(key, event.kv!.value, revision);
            return { revision, before, after };
          }),
        );
      }
      queue.end();
    } catch (error) {
      deps.warn('a watch from the past failed', error);
      queue.end();
    }
  })();
}
