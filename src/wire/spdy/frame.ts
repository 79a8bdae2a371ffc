/**
 * Frames of SPDY/3.1, as far as Kubernetes speaks it: streams with headers, data, and their ends. Settings and windows are read over, as its Go
 * library does. Bytes in, frames out. SPDY protocol draft 3.1, section 2.2 and 2.6.
 */
import { dictionaryId, headerDictionary } from './dictionary.ts';
import { Inflater } from './inflate.ts';

/** Names in lower case. */
export type SpdyHeaders = ReadonlyMap<string, string>;

export type SpdyFrame =
  | { readonly kind: 'syn-stream'; readonly streamId: number; readonly headers: SpdyHeaders; readonly fin: boolean }
  | { readonly kind: 'syn-reply'; readonly streamId: number; readonly headers: SpdyHeaders; readonly fin: boolean }
  | { readonly kind: 'headers'; readonly streamId: number; readonly headers: SpdyHeaders; readonly fin: boolean }
  | { readonly kind: 'data'; readonly streamId: number; readonly data: Uint8Array; readonly fin: boolean }
  | { readonly kind: 'rst-stream'; readonly streamId: number; readonly status: number }
  | { readonly kind: 'ping'; readonly id: number }
  | { readonly kind: 'goaway'; readonly lastStreamId: number; readonly status: number };

export const RstStatus = { protocolError: 1, invalidStream: 2, refusedStream: 3, cancel: 5, internalError: 6 } as const;

/** The peer does not speak SPDY/3.1: the connection is over. */
export class SpdyError extends Error {
  override readonly name = 'SpdyError';
}

const Type = { synStream: 1, synReply: 2, rstStream: 3, settings: 4, ping: 6, goaway: 7, headers: 8, windowUpdate: 9 };
const version = 3;
const finFlag = 1;
const headBytes = 8;
const controlBytesMax = 64 << 10;
const headerBytesMax = 64 << 10;
const headersMax = 256;

/** Takes bytes as they come, gives the frames that are whole; the data of a large frame comes in parts. */
export class SpdyDecoder {
  readonly #inflater = new Inflater(headerDictionary(), dictionaryId);
  #pending: Buffer = Buffer.alloc(0);
  /** Of a data frame whose head was read: what is still to come of it. */
  #data: { readonly streamId: number; readonly fin: boolean; left: number } | undefined;

  /** @throws SpdyError, InflateError: nothing more can be read */
  push(chunk: Uint8Array): SpdyFrame[] {
    let bytes = this.#pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#pending, chunk]);
    const frames: SpdyFrame[] = [];
    for (;;) {
      if (this.#data !== undefined) {
        const { streamId, fin, left } = this.#data;
        const data = bytes.subarray(0, left);
        this.#data.left -= data.length;
        bytes = bytes.subarray(data.length);
        const whole = this.#data.left === 0;
        if (data.length > 0 || whole) frames.push({ kind: 'data', streamId, data, fin: fin && whole });
        if (!whole) break;
        this.#data = undefined;
      }
      if (bytes.length < headBytes) break;
      const flags = bytes[4]!;
      const length = bytes.readUIntBE(5, 3);
      if ((bytes[0]! & 0x80) === 0) {
        this.#data = { streamId: bytes.readUInt32BE(0), fin: (flags & finFlag) !== 0, left: length };
        bytes = bytes.subarray(headBytes);
        continue;
      }
      if ((bytes.readUInt16BE(0) & 0x7fff) !== version) throw new SpdyError('not SPDY/3.1');
      if (length > controlBytesMax) throw new SpdyError('control frame too large');
      if (bytes.length < headBytes + length) break;
      const frame = this.#control(bytes.readUInt16BE(2), flags, bytes.subarray(headBytes, headBytes + length));
      if (frame !== undefined) frames.push(frame);
      bytes = bytes.subarray(headBytes + length);
    }
    this.#pending = bytes;
    return frames;
  }

  #control(type: number, flags: number, body: Buffer): SpdyFrame | undefined {
    const atLeast = (bytes: number) => {
      if (body.length < bytes) throw new SpdyError('control frame too short');
    };
    const fin = (flags & finFlag) !== 0;
    const streamId = () => body.readUInt32BE(0) & 0x7fffffff;
    switch (type) {
      case Type.synStream:
        atLeast(10);
        return { kind: 'syn-stream', streamId: streamId(), headers: this.#headers(body.subarray(10)), fin };
      case Type.synReply:
        atLeast(4);
        return { kind: 'syn-reply', streamId: streamId(), headers: this.#headers(body.subarray(4)), fin };
      case Type.headers:
        atLeast(4);
        return { kind: 'headers', streamId: streamId(), headers: this.#headers(body.subarray(4)), fin };
      case Type.rstStream:
        atLeast(8);
        return { kind: 'rst-stream', streamId: streamId(), status: body.readUInt32BE(4) };
      case Type.ping:
        atLeast(4);
        return { kind: 'ping', id: body.readUInt32BE(0) };
      case Type.goaway:
        atLeast(8);
        return { kind: 'goaway', lastStreamId: streamId(), status: body.readUInt32BE(4) };
      default:
        return undefined;
    }
  }

  /** The compressed block runs through the whole connection: every one must be read, wanted or not. */
  #headers(block: Uint8Array): SpdyHeaders {
    const bytes = Buffer.from(this.#inflater.push(block, headerBytesMax));
    let at = 0;
    const number = () => {
      if (at + 4 > bytes.length) throw new SpdyError('header block too short');
      at += 4;
      return bytes.readUInt32BE(at - 4);
    };
    const text = () => {
      const length = number();
      if (at + length > bytes.length) throw new SpdyError('header block too short');
      at += length;
      return bytes.toString('utf8', at - length, at);
    };
    const count = number();
    if (count > headersMax) throw new SpdyError('too many headers');
    const headers = new Map<string, string>();
    for (let i = 0; i < count; i++) headers.set(text().toLowerCase(), text());
    return headers;
  }
}

/** Writes one side's frames. Header blocks are said in stored blocks: valid zlib, and nothing here is worth compressing. */
export class SpdyEncoder {
  #begun = false;

  synStream(streamId: number, headers: SpdyHeaders, fin = false): Buffer {
    const head = Buffer.alloc(10);
    head.writeUInt32BE(streamId);
    return control(Type.synStream, fin ? finFlag : 0, head, this.#headers(headers));
  }

  synReply(streamId: number, headers: SpdyHeaders = new Map()): Buffer {
    return control(Type.synReply, 0, word(streamId), this.#headers(headers));
  }

  data(streamId: number, data: Uint8Array, fin = false): Buffer {
    const head = word(streamId, data.length);
    head[4] = fin ? finFlag : 0;
    return Buffer.concat([head, data]);
  }

  rstStream(streamId: number, status: number): Buffer {
    return control(Type.rstStream, 0, word(streamId, status));
  }

  ping(id: number): Buffer {
    return control(Type.ping, 0, word(id));
  }

  goaway(lastStreamId: number): Buffer {
    return control(Type.goaway, 0, word(lastStreamId, 0));
  }

  #headers(headers: SpdyHeaders): Buffer {
    const fields = [...headers].flatMap((pair) =>
      pair.flatMap((value) => {
        const bytes = Buffer.from(value);
        return [word(bytes.length), bytes];
      }),
    );
    const plain = Buffer.concat([word(headers.size), ...fields]);
    const stored = Buffer.alloc(5);
    stored.writeUInt16LE(plain.length, 1);
    stored.writeUInt16LE(plain.length ^ 0xffff, 3);
    const parts = [stored, plain, flush];
    if (!this.#begun) parts.unshift(zlibHead);
    this.#begun = true;
    return Buffer.concat(parts);
  }
}

const zlibHead = Buffer.of(0x78, 0x01);
/** An empty block: readers hand over what they hold. */
const flush = Buffer.of(0, 0, 0, 0xff, 0xff);

function word(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, i * 4);
  return bytes;
}

function control(type: number, flags: number, ...body: readonly Buffer[]): Buffer {
  const length = body.reduce((sum, { length }) => sum + length, 0);
  const head = Buffer.alloc(headBytes);
  head.writeUInt16BE(0x8000 | version, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt32BE(length, 4);
  head[4] = flags;
  return Buffer.concat([head, ...body]);
}
