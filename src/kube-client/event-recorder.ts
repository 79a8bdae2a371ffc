/**
 * Tells about objects through Events, as client-go's recorder does: the same thing said again counts up one event, and what one object
 * may say is limited. Writing goes on in the background, in order; a full queue drops, since events are best effort.
 */
import { StatusError } from '#kube-machinery/status.ts';
import { BoundedQueue } from '#std/bounded-queue.ts';
import type { Clock } from '#std/clock.ts';
import { crc32c } from '#std/crc32c.ts';
import type { KubeClient } from './client.ts';
import type { ApiObject, ResourceRef } from './resource-ref.ts';
import { formatTime } from './time.ts';
import type { ObjectMeta } from './types/meta.ts';

/** core/v1 Event, as recorders write it. */
export interface Event {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
  readonly involvedObject: ObjectReference;
  readonly reason: string;
  readonly message: string;
  readonly source: { readonly component: string; readonly host?: string };
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
  readonly count: number;
  readonly type: EventType;
  readonly reportingComponent: string;
  readonly reportingInstance: string;
}

export interface ObjectReference {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly fieldPath?: string;
}

export type EventType = 'Normal' | 'Warning';

export const events: ResourceRef = { group: '', version: 'v1', resource: 'events', namespaced: true, kind: 'Event' };

export interface EventRecorder extends AsyncDisposable {
  /** Returns at once. `object` must have its kind and apiVersion. */
  event(object: ApiObject | ObjectReference, type: EventType, reason: string, message: string): void;
}

/** Events that wait to be written; more are dropped. */
export const pendingEventsMax = 1000;
/** Things said whose events are remembered, to count them up. */
const rememberedMax = 4096;
/** An object may say this many things at once, and one more every five minutes. */
const burst = 25;
const refillMs = 300_000;
const messageLengthMax = 1024;

export function createEventRecorder(config: {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Who tells: `deployment-controller`, `default-scheduler`. */
  readonly component: string;
  readonly host?: string;
  readonly log: (message: string) => void;
}): EventRecorder {
  const { client, clock, component, host, log } = config;
  const queue = new BoundedQueue<{ readonly key: string; readonly event: Event }>(pendingEventsMax);
  const known = new Map<string, Event>();
  const buckets = new Map<string, { tokens: number; atMs: number }>();
  const aborter = new AbortController();
  // Below the clock's milliseconds, where recorders that speak of one object in the same moment must not meet.
  let sequence = crc32c(Buffer.from(`${component}/${host ?? ''}`)) % 1_000_000;

  const written = (async () => {
    for await (const { key, event } of queue) {
      try {
        remember(known, key, await write(key, event));
      } catch (error) {
        // A namespace that goes takes no events any more: not worth a line.
        if (aborter.signal.aborted || (error instanceof StatusError && (error.code === 403 || error.code === 404)))
          continue;
        log(`event ${event.reason} not written: ${error instanceof Error ? error.message : error}`);
      }
    }
  })();

  async function write(key: string, event: Event): Promise<Event> {
    const resource = client.resource<Event>(events, event.metadata.namespace);
    const before = known.get(key);
    if (before !== undefined)
      try {
        const { lastTimestamp } = event;
        return await resource.patch(
          before.metadata.name,
          'strategic',
          { count: before.count + 1, lastTimestamp },
          { signal: aborter.signal },
        );
      } catch (error) {
        if (!(error instanceof StatusError && error.code === 404)) throw error;
      }
    return await resource.create(event, { signal: aborter.signal });
  }

  function allowed(key: string): boolean {
    const nowMs = clock.monotonicMs();
    const bucket = buckets.get(key) ?? { tokens: burst, atMs: nowMs };
    const tokens = Math.min(burst, bucket.tokens + (nowMs - bucket.atMs) / refillMs);
    remember(buckets, key, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs });
    return tokens >= 1;
  }

  return {
    event(object, type, reason, message) {
      const involvedObject = referenceTo(object);
      // Not the revision: the same thing said of a newer state is the same thing.
      const { resourceVersion: _, ...subject } = involvedObject;
      const key = JSON.stringify([subject, type, reason, message]);
      if (
        !allowed(
          JSON.stringify([involvedObject.uid, involvedObject.kind, involvedObject.namespace, involvedObject.name]),
        )
      )
        return;
      const now = formatTime(clock.now());
      queue.push({
        key,
        event: {
          metadata: {
            name: `${involvedObject.name}.${(BigInt(clock.now()) * 1_000_000n + BigInt(sequence++ % 1_000_000)).toString(16)}`,
            namespace: involvedObject.namespace || 'default',
          },
          involvedObject,
          reason,
          message: message.length > messageLengthMax ? `${message.slice(0, messageLengthMax - 3)}...` : message,
          source: { component, ...(host !== undefined && { host }) },
          firstTimestamp: now,
          lastTimestamp: now,
          count: 1,
          type,
          reportingComponent: component,
          reportingInstance: host ?? '',
        },
      });
    },
    async [Symbol.asyncDispose]() {
      queue.end();
      aborter.abort(new Error('the recorder is closed'));
      await written;
    },
  };
}

export function referenceTo(object: ApiObject | ObjectReference): ObjectReference {
  if (!('metadata' in object)) return object;
  const { apiVersion, kind, metadata } = object;
  const { namespace, name, uid, resourceVersion } = metadata;
  return {
    ...(kind !== undefined && { kind }),
    ...(namespace !== undefined && { namespace }),
    name,
    ...(uid !== undefined && { uid }),
    ...(apiVersion !== undefined && { apiVersion }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  };
}

/** The least recently used goes first. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > rememberedMax) map.delete(map.keys().next().value!);
}
