/** Sockets that carry DNS messages: UDP datagrams, and TCP with a length before each message. RFC 1035 4.2. Knows nothing of what they say. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

const tcpIdleMs = 10_000;
const tcpConnectionsMax = 256;
const questionsMax = 1024;

/** Both on one address and port. @throws Node's error (EADDRINUSE, EADDRNOTAVAIL) */
export async function serveDns(
  { address, port }: { readonly address: string; readonly port: number },
  answer: (question: Buffer) => Promise<Buffer | undefined>,
): Promise<AsyncDisposable> {
  let waiting = 0;
  const ask = async (question: Buffer): Promise<Buffer | undefined> => {
    // Beyond the limit questions are dropped; clients ask again.
    if (waiting >= questionsMax) return undefined;
    waiting++;
    try {
      return await answer(question);
    } finally {
      waiting--;
    }
  };

  const udp = createSocket('udp4');
  udp.on('message', (question, peer) => {
    void ask(question).then(
      (reply) => {
        if (reply !== undefined) udp.send(reply, peer.port, peer.address, () => {});
      },
      () => {},
    );
  });
  const sockets = new Set<Socket>();
  const tcp = createServer((socket) => {
    if (sockets.size >= tcpConnectionsMax) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.setTimeout(tcpIdleMs, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    let held = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const length = held.readUInt16BE(0);
        const question = held.subarray(2, 2 + length);
        held = held.subarray(2 + length);
        void ask(question).then(
          (reply) => {
            if (reply === undefined || socket.destroyed) return;
            const head = Buffer.alloc(2);
            head.writeUInt16BE(reply.length);
            socket.write(Buffer.concat([head, reply]));
          },
          () => {},
        );
      }
    });
  });
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await Promise.all([
      new Promise<void>((resolve) => udp.close(() => resolve())),
      new Promise<void>((resolve) => tcp.close(() => resolve())),
    ]);
  };
  try {
    udp.bind(port, address);
    await once(udp, 'listening');
    tcp.listen(port, address);
    await once(tcp, 'listening');
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
  udp.on('error', () => {});
  return { [Symbol.asyncDispose]: close };
}

/** Asks one server over UDP. Rejects when no answer comes in time. */
export async function askDns(question: Buffer, server: string, timeoutMs = 2000): Promise<Buffer> {
  const socket = createSocket(server.includes(':') ? 'udp6' : 'udp4');
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer from ${server}`)), timeoutMs);
      socket.on('error', reject);
      socket.on('message', (reply) => {
        // Only the answer to this question counts.
        if (reply.length < 2 || reply.readUInt16BE(0) !== question.readUInt16BE(0)) return;
        clearTimeout(timer);
        resolve(reply);
      });
      socket.send(question, 53, server);
    });
  } finally {
    socket.close();
  }
}
