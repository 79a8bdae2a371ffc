/** Joins an HTTP/2 connection to a socket: bytes in, bytes out once a turn, back-pressure, and the end of both. */
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, Http2Connection } from '#wire/http2/connection.ts';

/** Output up to this size is joined into one write; larger goes out as it is. */
const joinedBytesMax = 64 << 10;

export function joinSocket(socket: Duplex, options: Omit<ConnectionOptions, 'onOutput'>): Http2Connection {
  let scheduled = false;
  let blocked = false;
  const connection = new Http2Connection({
    ...options,
    onOutput() {
      if (scheduled || blocked) return;
      scheduled = true;
      setImmediate(() => {
        scheduled = false;
        flush();
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
  });
  socket.on('data', (chunk: Buffer) => {
    connection.receive(chunk);
    flush();
  });
  socket.on('error', (error) => connection.lost(error.message));
  socket.on('close', () => connection.lost('connection closed'));
  socket.on('end', () => {
    connection.lost('EOF');
    socket.end();
  });
  flush();
  return connection;
}
