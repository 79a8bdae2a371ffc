/** Reads a watch's body: one JSON object a line, whatever the chunks. Bounded; an ERROR event becomes the exception it carries. */

import { type Status, StatusError } from '#kube-machinery/status.ts';
import { utf8Decode } from '#std/bytes.ts';

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';

export interface WatchEvent<T> {
  readonly type: WatchEventType;
  readonly object: T;
}

/** One event. The largest object that etcd takes is 1.5 MiB; its managed fields and the frame come on top. */
export const eventBytesMax = 16 << 20;

/** @throws StatusError for an ERROR event; Error for a line over {@link eventBytesMax} or one that is not JSON */
export async function* readWatchEvents<T>(body: AsyncIterable<Uint8Array>): AsyncGenerator<WatchEvent<T>> {
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  for await (const chunk of body) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const tail = chunk.subarray(start, end);
      start = end + 1;
      const line = restBytes === 0 ? tail : Buffer.concat([...rest, tail]);
      rest = [];
      restBytes = 0;
      if (line.length > 0) yield eventOf<T>(line);
    }
    if (start === chunk.length) continue;
    const left = start === 0 ? chunk : chunk.subarray(start);
    rest.push(left);
    restBytes += left.length;
    if (restBytes > eventBytesMax) throw new Error(`a watch event is over ${eventBytesMax} bytes`);
  }
  if (restBytes > 0) yield eventOf<T>(Buffer.concat(rest));
}

function eventOf<T>(line: Uint8Array): WatchEvent<T> {
  const event = JSON.parse(utf8Decode(line)) as { readonly type: string; readonly object: unknown };
  if (event.type === 'ERROR') throw new StatusError(event.object as Status);
  return event as WatchEvent<T>;
}
