/** Turns of the event loop, for whoever drives a virtual clock or slices long work. */

/** Lets everything that is ready run, for a few turns: what a timer started has then come to rest. */
export async function drainTurns(turns = 4): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await nextTurn();
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Does long work in slices, one each turn of the event loop: `steps` yields where a slice ends and returns the result.
 * @throws what `steps` throws, and the signal's reason between two slices
 */
export async function inSlices<T>(steps: Generator<void, T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await nextTurn();
    signal?.throwIfAborted();
  }
}

/** The same work for whoever has nothing else to do meanwhile. */
export function atOnce<T>(steps: Generator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** A turn may only start the next piece of work: this many quiet ones in a row count as rest. */
const quietTurns = 3;

/** Lets everything under way come to rest: promises, immediates, and files that are being read or written. Timers and sockets do not count. */
export async function drainIo(): Promise<void> {
  for (let quiet = 0; quiet < quietTurns; ) {
    await nextTurn();
    const busy = process
      .getActiveResourcesInfo()
      .some((name) => name.startsWith('FSReq') || name === 'FileHandleCloseReq');
    quiet = busy ? 0 : quiet + 1;
  }
}
