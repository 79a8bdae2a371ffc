/** Bodies of requests and answers between members: collected up to a limit, and given up when nothing comes any more. */
import type { Clock } from '#std/clock.ts';

export class BodyTooLargeError extends Error {
  override readonly name = 'BodyTooLargeError';
}

/** @throws BodyTooLargeError; what the body fails with */
export async function readBody(body: Uint8Array | AsyncIterable<Uint8Array>, bytesMax: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const iterator = chunksOf(body);
  // Not a loop over the iterable: leaving that early would take the connection away from the answer.
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
    bytes += next.value.length;
    if (bytes > bytesMax) {
      // Nobody reads the rest: the connection is not worth keeping.
      await iterator.return?.();
      throw new BodyTooLargeError(`more than ${bytesMax} bytes`);
    }
    chunks.push(next.value);
  }
  return Buffer.concat(chunks);
}

export function chunksOf(body: Uint8Array | AsyncIterable<Uint8Array>): AsyncIterator<Uint8Array> {
  if (!(body instanceof Uint8Array)) return body[Symbol.asyncIterator]();
  return (async function* () {
    yield body;
  })();
}

/** As the body, but it throws when no chunk comes for so long after it was asked for. */
export function limitIdle(body: AsyncIterable<Uint8Array>, clock: Clock, timeoutMs: number): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = body[Symbol.asyncIterator]();
      return {
        next: () =>
          new Promise((resolve, reject) => {
            const timer = clock.after(timeoutMs, () => reject(new Error('i/o timeout')));
            iterator
              .next()
              .then(resolve, reject)
              .finally(() => timer[Symbol.dispose]());
          }),
        return: () => iterator.return?.() ?? Promise.resolve({ done: true, value: undefined }),
      };
    },
  };
}
