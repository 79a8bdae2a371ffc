/** Turns of the event loop, for whoever drives a virtual clock or slices long work. */

/** Lets everything that is ready run, for a few turns: what a timer started has then come to rest. */
export async function drainTurns(turns = 4): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await nextTurn();
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
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
