/** Turns of the event loop, for whoever drives a virtual clock or slices long work. */

/** Lets everything that is ready run, for a few turns: what a timer started has then come to rest. */
export async function drainTurns(turns = 4): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await nextTurn();
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
