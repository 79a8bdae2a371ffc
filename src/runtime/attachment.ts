/** A client of a process's streams, over a connection of its own to the monitor. */
import { MonitorConnection } from '#host-linux/helper/monitor-client.ts';
import { BoundedQueue } from '#std/bounded-queue.ts';
import { RuntimeError } from './error.ts';
import type { Attachment } from './runtime.ts';

type Piece = { readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array };

/** Pieces are at most 16 KiB. The connection pauses well before the queue is full. */
const piecesMax = 64;
const piecesPause = 16;

/** Attaches; a process whose monitor has gone has nothing more to say. */
export async function openAttachment(folder: string): Promise<Attachment> {
  const pieces = new BoundedQueue<Piece>(piecesMax);
  const live = new Set(['stdout', 'stderr']);
  let drains: { resolve: () => void; reject: (error: Error) => void }[] = [];
  let closed = false;
  let connection: MonitorConnection;
  const settle = (error?: Error) => {
    const waiting = drains;
    drains = [];
    for (const { resolve, reject } of waiting) error === undefined ? resolve() : reject(error);
  };
  try {
    connection = await MonitorConnection.open(folder, {
      onOutput: (stream, data) => {
        if (data !== undefined) pieces.push({ stream, data });
        else if (live.delete(stream) && live.size === 0) pieces.end();
        return pieces.length < piecesPause;
      },
      onDrain: () => settle(),
      onClose: () => {
        closed = true;
        pieces.end(live.size === 0 ? undefined : new RuntimeError('Internal', 'the monitor went away'));
        settle(new RuntimeError('FailedPrecondition', 'the attachment has ended'));
      },
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw error;
    pieces.end();
    return ended(pieces);
  }
  connection.attach();
  async function* output(): AsyncGenerator<Piece> {
    for await (const piece of pieces) {
      yield piece;
      if (pieces.length < piecesPause) connection.resume();
    }
  }
  return {
    output: output(),
    write: (data) => connection.writeStdin(data),
    drained: () =>
      closed
        ? Promise.reject(new RuntimeError('FailedPrecondition', 'the attachment has ended'))
        : new Promise((resolve, reject) => drains.push({ resolve, reject })),
    closeStdin: () => connection.closeStdin(),
    async [Symbol.asyncDispose]() {
      live.clear();
      connection[Symbol.dispose]();
    },
  };
}

function ended(pieces: BoundedQueue<Piece>): Attachment {
  return {
    output: pieces,
    write: () => false,
    drained: () => Promise.reject(new RuntimeError('FailedPrecondition', 'the attachment has ended')),
    closeStdin: () => {},
    async [Symbol.asyncDispose]() {},
  };
}
