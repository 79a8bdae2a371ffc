/** Small things over Node's streams that its own helpers do with more listeners than a stream shall have. */
import { type Duplex, duplexPair, type Writable } from 'node:stream';

/** Resolves when there is room again, or there never will be. Leaves no listener behind. */
export function roomIn(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
  });
}

/**
 * Makes two connections one: what comes in at one end goes out at the other, with its end. A connection that breaks, or has broken before, takes
 * the other along.
 */
export function relay(a: Duplex, b: Duplex): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.on('close', () => {
      // What was read in full is still being written; anything else was cut off.
      if (!from.readableEnded || to.writableFinished) to.destroy();
      else to.once('finish', () => to.destroy());
    });
  }
  // It will not say so again.
  if (a.destroyed || b.destroyed) {
    a.destroy();
    b.destroy();
  }
}

/** Two ends of one connection in memory. */
export function joinedPair(): [Duplex, Duplex] {
  return duplexPair();
}
