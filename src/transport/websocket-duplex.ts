/** A WebSocket as a plain stream of bytes: what is tunnelled through it knows nothing of messages. */
import { Duplex } from 'node:stream';
import type { WebSocketConnection } from './websocket.ts';

/** Owns the connection: when one is over, so is the other. */
export function webSocketDuplex(connection: WebSocketConnection): Duplex {
  const messages = connection.messages[Symbol.asyncIterator]();
  return new Duplex({
    read() {
      messages.next().then(
        ({ value, done }) => this.push(done ? null : value),
        (error: Error) => this.destroy(error),
      );
    },
    write(chunk: Uint8Array, _encoding, callback) {
      if (connection.send(chunk)) callback();
      else connection.drained().then(() => callback(), callback);
    },
    final(callback) {
      connection.close(1000, '');
      callback();
    },
    destroy(error, callback) {
      connection.close(error === null ? 1000 : 1011, '');
      callback(error);
    },
  });
}
