/**
 * A client of a process's streams, over two connections of its own to the monitor: output comes by one, input goes by the other. A process may end while input is
 * still on its way; sending to a monitor that has gone breaks a connection with everything that was not read from it, and its last words must not be lost.
 */
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
  let connection: MonitorConnection;
  let input: Input | undefined;
  try {
    input = await openInput(folder);
    connection = await MonitorConnection.open(folder, {
      onOutput: (stream, data) => {
        if (data !== undefined) pieces.push({ stream, data });
        else if (live.delete(stream) && live.size === 0) pieces.end();
        return pieces.length < piecesPause;
      },
      onClose: () => pieces.end(live.size === 0 ? undefined : new RuntimeError('Internal', 'the monitor went away')),
    });
  } catch (error) {
    input?.[Symbol.dispose]();
    if (!hasGone(error)) throw error;
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
    write: input.write,
    drained: input.drained,
    closeStdin: input.closeStdin,
    async [Symbol.asyncDispose]() {
      live.clear();
      connection[Symbol.dispose]();
      input[Symbol.dispose]();
    },
  };
}

type Input = Pick<Attachment, 'write' | 'drained' | 'closeStdin'> & Disposable;

async function openInput(folder: string): Promise<Input> {
  let drains: { resolve: () => void; reject: (error: Error) => void }[] = [];
  let closed = false;
  const settle = (error?: Error) => {
    const waiting = drains;
    drains = [];
    for (const { resolve, reject } of waiting) error === undefined ? resolve() : reject(error);
  };
  const connection = await MonitorConnection.open(folder, {
    onDrain: () => settle(),
    onClose: () => {
      closed = true;
      settle(attachmentEnded());
    },
  });
  return {
    write: (data) => connection.writeStdin(data),
    drained: () =>
      closed ? Promise.reject(attachmentEnded()) : new Promise((resolve, reject) => drains.push({ resolve, reject })),
    closeStdin: () => connection.closeStdin(),
    [Symbol.dispose]: () => connection[Symbol.dispose](),
  };
}

function hasGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ECONNREFUSED';
}

const attachmentEnded = () => new RuntimeError('FailedPrecondition', 'the attachment has ended');

function ended(pieces: BoundedQueue<Piece>): Attachment {
  return {
    output: pieces,
    write: () => false,
    drained: () => Promise.reject(attachmentEnded()),
    closeStdin: () => {},
    async [Symbol.asyncDispose]() {},
  };
}
