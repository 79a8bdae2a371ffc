/** One HTTP request over an HTTP/2 stream, answered by a handler. RFC 9113 section 8. */
import type { Header } from '#wire/hpack/decoder.ts';
import { encodeHeaders } from '#wire/hpack/encoder.ts';
import type { Http2Stream, StreamHandler } from '#wire/http2/connection.ts';
import { ErrorCode } from '#wire/http2/frame.ts';
import { discard } from './discard.ts';
import type { HttpHandler, HttpPeer, HttpResponse } from './http.ts';

/** Response bytes that may wait for the peer's window. */
const bufferedBytesMax = 1 << 20;
const connectionHeaders = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-connection']);

export function respondOnStream(
  stream: Http2Stream,
  headers: readonly Header[],
  endStream: boolean,
  peer: HttpPeer,
  handler: HttpHandler,
): StreamHandler {
  const body = new StreamBody(stream);
  const gone = new AbortController();
  let writable: (() => void) | undefined;
  const events: StreamHandler = {
    headers(_trailers, end) {
      if (end) body.end();
    },
    data(chunk, end) {
      body.push(chunk);
      if (end) body.end();
    },
    reset(_code, message) {
      const error = new Error(message);
      body.end(error);
      gone.abort(error);
      writable?.();
    },
    writable() {
      writable?.();
    },
  };
  if (endStream) body.end();
  // Pseudo-headers come first (RFC 9113 section 8.3).
  let pseudos = 0;
  while (pseudos < headers.length && headers[pseudos]![0].startsWith(':')) pseudos++;
  const plain = headers.slice(pseudos).filter(([name]) => !name.startsWith(':'));
  const pseudo = (name: string) => {
    for (let i = 0; i < pseudos; i++) if (headers[i]![0] === name) return headers[i]![1];
    return '';
  };
  handler({
    method: pseudo(':method'),
    target: pseudo(':path'),
    headers: plain,
    authority: pseudo(':authority') || (plain.find(([name]) => name === 'host')?.[1] ?? ''),
    protocol: 'HTTP/2.0',
    body,
    peer,
    signal: gone.signal,
  }).then(
    (response) =>
      send(stream, response, (resolve) => {
        writable = resolve;
      }),
    () => stream.reset(ErrorCode.internalError),
  );
  return events;
}

async function send(
  stream: Http2Stream,
  response: HttpResponse,
  onWritable: (resolve: () => void) => void,
): Promise<void> {
  if (response.upgrade !== undefined) {
    discard(response);
    stream.sendHeaders(encodeHeaders([[':status', '501']]), true);
    return;
  }
  const block = encodeHeaders([
    [':status', String(response.status)],
    ...response.headers
      .filter(([name]) => !connectionHeaders.has(name))
      .map(([name, value]): Header => [name.toLowerCase(), value]),
  ]);
  if (response.push !== undefined) {
    stream.sendHeaders(block, false);
    pushOnStream(stream, response.push, onWritable);
    return;
  }
  if (response.body instanceof Uint8Array) {
    const bytes = Buffer.from(response.body.buffer, response.body.byteOffset, response.body.length);
    stream.sendHeaders(block, bytes.length === 0);
    if (bytes.length > 0) stream.send(bytes, true);
    closeRequest(stream);
    return;
  }
  stream.sendHeaders(block, false);
  try {
    for await (const chunk of response.body) {
      if (stream.ended) return;
      stream.send(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length), false);
      while (stream.bufferedBytes > bufferedBytesMax && !stream.ended) await new Promise<void>(onWritable);
    }
    stream.send(Buffer.alloc(0), true);
    closeRequest(stream);
  } catch {
    stream.reset(ErrorCode.internalError);
  }
}

/** @param onWritable called once when there is room, and when the stream is reset */
function pushOnStream(
  stream: Http2Stream,
  push: NonNullable<HttpResponse['push']>,
  onWritable: (resolve: () => void) => void,
): void {
  let over = false;
  const source = push({
    write(bytes) {
      if (stream.ended) return false;
      stream.send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), false);
      return stream.bufferedBytes <= bufferedBytesMax;
    },
    end() {
      over = true;
      if (stream.ended) return;
      stream.send(Buffer.alloc(0), true);
      closeRequest(stream);
    },
    destroy() {
      over = true;
      if (!stream.ended) stream.reset(ErrorCode.internalError);
    },
  });
  const look = () => {
    if (over) return;
    if (!stream.ended) {
      if (stream.bufferedBytes <= bufferedBytesMax) source.room();
      return;
    }
    over = true;
    source.gone();
  };
  onWritable(look);
  if (stream.ended) look();
}

/** What the client still sends after the whole response is not wanted (RFC 9113 section 8.1). */
function closeRequest(stream: Http2Stream): void {
  if (!stream.remoteClosed && stream.bufferedBytes === 0) stream.reset(ErrorCode.noError);
}

/** A request's body: chunks wait for the handler, and only what it has read opens the window again. */
class StreamBody implements AsyncIterable<Uint8Array> {
  readonly #stream: Http2Stream;
  #chunks: Buffer[] = [];
  #end: { readonly error?: Error } | undefined;
  #wake: (() => void) | undefined;

  constructor(stream: Http2Stream) {
    this.#stream = stream;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(Buffer.from(chunk));
    this.#wake?.();
  }

  end(error?: Error): void {
    this.#end ??= error === undefined ? {} : { error };
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#stream.consume(chunk.length);
        yield chunk;
      } else if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }
}
