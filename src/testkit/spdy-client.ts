/** A client of SPDY/3.1 over a socket, as far as tests of streaming servers need one. */
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { SpdyDecoder, SpdyEncoder, type SpdyFrame } from '#wire/spdy/frame.ts';

/** What a client sends and sees on one connection. */
export class SpdyClient {
  readonly encoder = new SpdyEncoder();
  readonly frames: SpdyFrame[] = [];
  head = '';
  readonly socket: Socket;
  readonly closed: Promise<void>;
  #wake: () => void = () => {};

  constructor(url: string, version: string, tls?: ConnectionOptions) {
    const { hostname, port, host, pathname } = new URL(url);
    const where = { host: hostname, port: Number(port) };
    this.socket = tls === undefined ? connect(where) : connectTls({ ...tls, ...where });
    this.socket.write(
      `POST ${pathname} HTTP/1.1\r\nhost: ${host}\r\nconnection: Upgrade\r\nupgrade: SPDY/3.1\r\nx-stream-protocol-version: ${version}\r\ncontent-length: 0\r\n\r\n`,
    );
    const decoder = new SpdyDecoder();
    let body: Buffer | undefined;
    this.socket.on('data', (chunk: Buffer) => {
      if (body === undefined) {
        this.head += chunk.toString('latin1');
        const end = this.head.indexOf('\r\n\r\n');
        if (end < 0) return;
        body = Buffer.from(this.head.slice(end + 4), 'latin1');
        this.head = this.head.slice(0, end);
        if (this.head.includes(' 101 ')) this.frames.push(...decoder.push(body));
      } else this.frames.push(...decoder.push(chunk));
      this.#wake();
    });
    this.closed = new Promise((resolve) =>
      this.socket.on('close', () => {
        this.#wake();
        resolve();
      }),
    );
  }

  /** Waits until `found` gives something of what came. */
  async until<T>(found: () => T | undefined): Promise<T> {
    for (;;) {
      const value = found();
      if (value !== undefined) return value;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  open(id: number, headers: Record<string, string> = {}): void {
    this.socket.write(this.encoder.synStream(id, new Map(Object.entries(headers))));
  }

  send(id: number, text: string, fin = false): void {
    this.socket.write(this.encoder.data(id, Buffer.from(text), fin));
  }

  text(id: number): string {
    return this.frames
      .map((frame) => (frame.kind === 'data' && frame.streamId === id ? Buffer.from(frame.data).toString() : ''))
      .join('');
  }

  ended(id: number): true | undefined {
    return this.frames.some((frame) => frame.kind === 'data' && frame.streamId === id && frame.fin) || undefined;
  }
}
