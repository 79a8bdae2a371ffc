/** A server of bare sockets on loopback, for tests of clients whose server does what no server should. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Scope } from '#std/scope.ts';

/**
 * Serves sockets as they come; closed with `scope`, and they with it.
 * @returns the port
 */
export async function serveSockets(scope: Scope, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    onSocket(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.defer(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
