/** Joins an HTTP/2 connection to a socket: bytes in, bytes out once all that is ready has run, back-pressure, and the end of both. */
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, Http2Connection } from '#wire/http2/connection.ts';

/** Output up to this size is joined into one write; larger goes out as it is. */
const joinedBytesMax = 64 << 10;

/**
 * @param onUntaken told how many bytes the peer has not taken yet whenever that changes: what waits for its window, and for its socket beyond what
 * the socket takes at once
 */
export function joinSocket(
  socket: Duplex,
  options: Omit<ConnectionOptions, 'onOutput' | 'onSend'>,
  onUntaken?: (bytes: number) => void,
): Http2Connection {
  const report = onUntaken && (() => onUntaken(connection.unsentBytes + (blocked ? socket.writableLength : 0)));
  let scheduled = false;
  let blocked = false;
  const connection: Http2Connection = new Http2Connection({
    ...options,
    ...(report && { onSend: report }),
    onOutput() {
      if (scheduled || blocked) return;
      scheduled = true;
      process.nextTick(() => {
        scheduled = false;
        flush();
        report?.();
      });
    },
  });

  function flush(): void {
    if (blocked || !connection.hasOutput || socket.destroyed) return;
    const output = connection.takeOutput();
    let bytes = 0;
    for (const part of output) bytes += part.length;
    let room: boolean;
    if (bytes <= joinedBytesMax) room = socket.write(output.length === 1 ? output[0] : Buffer.concat(output, bytes));
    else {
      socket.cork();
      for (const part of output) socket.write(part);
      socket.uncork();
      room = !socket.writableNeedDrain;
    }
    if (!room) blocked = true;
    if (connection.failed) socket.end();
  }

  socket.on('drain', () => {
    blocked = false;
    flush();
    report?.();
  });
  socket.on('data', (chunk: Buffer) => {
    connection.receive(chunk);
    flush();
    // Without output, too: a stream that the peer gave up has dropped what it held.
    report?.();
  });
  socket.on('error', (error) => connection.lost(error.message));
  socket.on('close', () => {
    connection.lost('connection closed');
    onUntaken?.(0);
  });
  socket.on('end', () => {
    connection.lost('EOF');
    socket.end();
  });
  flush();
  // Whoever counts knows of the connection before its first request.
  report?.();
  return connection;
}
