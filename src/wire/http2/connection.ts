/**
 * One end of an HTTP/2 connection (RFC 9113) as a synchronous state machine: bytes in, calls to stream handlers and bytes out. It
 * knows no socket and no clock. Whoever owns the socket feeds `receive` and writes what `takeOutput` gives.
 *
 * Flow control: what a handler is given counts against the peer until it calls `stream.consume`; what a handler sends beyond
 * the peer's window waits here, counted by `stream.bufferedBytes`, and `writable` says when it has drained.
 */
import { type Header, HeaderListTooLargeError, HpackDecoder, HpackError } from '../hpack/decoder.ts';
import { encodeHeaders } from '../hpack/encoder.ts';
import {
  defaultFrameBytesMax,
  defaultWindowBytes,
  ErrorCode,
  Flag,
  FrameType,
  frame,
  frameHeaderBytes,
  goawayFrame,
  Http2Error,
  preface,
  Setting,
  settingsFrame,
  uint32Frame,
  windowBytesMax,
  writeFrameHeader,
} from './frame.ts';

/** What happens on a stream. */
export interface StreamHandler {
  /** Trailers, or (on a client) response headers. */
  headers(headers: readonly Header[], endStream: boolean): void;
  /** A view of the input: copy what must last. */
  data(chunk: Buffer, endStream: boolean): void;
  /** The stream is over early: the peer reset it, or the connection went away. Nothing follows. */
  reset(code: ErrorCode, message: string): void;
  /** Everything handed to `send` has gone out. */
  writable(): void;
}

export interface ConnectionOptions {
  readonly role: 'server' | 'client';
  /** Server: called for each new stream; returns who handles it. */
  readonly accept?: (stream: Http2Stream, headers: readonly Header[], endStream: boolean) => StreamHandler;
  /** Called once when no further streams can be opened or will be answered: GOAWAY, or a connection error. */
  readonly onGoaway?: (code: ErrorCode, message: string) => void;
  /** Bytes wait to be written that no `receive` in progress will have flushed after it. */
  readonly onOutput?: () => void;
  /** A stream was given much to send at once; whether it goes out or waits shows {@link Http2Connection.unsentBytes}. Less is seen when it is taken. */
  readonly onSend?: () => void;
  readonly limits?: Partial<ConnectionLimits>;
}

export interface ConnectionLimits {
  readonly streamsMax: number;
  readonly headerListBytesMax: number;
  /** Bytes a peer may send on one stream before they are consumed. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** Streams a peer may cancel beyond those it let finish (CVE-2023-44487). */
  readonly cancelledStreamsMax: number;
  /** Answers to PING and SETTINGS that may wait for the socket. */
  readonly queuedAnswersMax: number;
  /** DATA frames without bytes in a row. */
  readonly emptyFramesMax: number;
}

export const defaultLimits: ConnectionLimits = {
  streamsMax: 1000,
  headerListBytesMax: 64 << 10,
  streamWindowBytes: 1 << 20,
  connectionWindowBytes: 4 << 20,
  cancelledStreamsMax: 500,
  queuedAnswersMax: 1000,
  emptyFramesMax: 100,
};

export class Http2Connection {
  readonly #role: 'server' | 'client';
  readonly #accept: ConnectionOptions['accept'];
  readonly #onGoaway: ConnectionOptions['onGoaway'];
  readonly #onOutput: ConnectionOptions['onOutput'];
  readonly onSend: ConnectionOptions['onSend'];
  #receiving = false;
  readonly limits: ConnectionLimits;
  readonly #decoder: HpackDecoder;
  readonly streams = new Map<number, Http2Stream>();
  #input: Buffer = Buffer.alloc(0);
  #output: Buffer[] = [];
  #outputBytes = 0;
  /** Of all streams: data that waits for the peer's window. */
  bufferedBytes = 0;
  #prefaceLeft: number;
  #settingsSeen = false;
  /** Header block being collected from CONTINUATION frames. */
  #block:
    | { readonly streamId: number; readonly endStream: boolean; readonly chunks: Buffer[]; bytes: number }
    | undefined;
  #nextStreamId: number;
  #lastPeerStreamId = 0;
  #peerStreams = 0;
  #cancelled = 0;
  #queuedAnswers = 0;
  #emptyFrames = 0;
  #sendWindow = defaultWindowBytes;
  #receiveWindow: number;
  #consumed = 0;
  #closed = false;
  #draining = false;
  peerInitialWindow = defaultWindowBytes;
  peerFrameBytesMax = defaultFrameBytesMax;
  peerStreamsMax = Number.POSITIVE_INFINITY;

  constructor({ role, accept, onGoaway, onOutput, onSend, limits }: ConnectionOptions) {
    this.#role = role;
    this.#accept = accept;
    this.#onGoaway = onGoaway;
    this.#onOutput = onOutput;
    this.onSend = onSend;
    this.limits = { ...defaultLimits, ...limits };
    this.#decoder = new HpackDecoder({ listBytesMax: this.limits.headerListBytesMax });
    this.#prefaceLeft = role === 'server' ? preface.length : 0;
    this.#nextStreamId = role === 'client' ? 1 : 2;
    this.#receiveWindow = this.limits.connectionWindowBytes;
    if (role === 'client') this.#emit(preface);
    this.#emit(
      settingsFrame([
        ...(role === 'client'
          ? [[Setting.enablePush, 0] as const]
          : [[Setting.maxConcurrentStreams, this.limits.streamsMax] as const]),
        [Setting.initialWindowSize, this.limits.streamWindowBytes],
        [Setting.maxHeaderListSize, this.limits.headerListBytesMax],
      ]),
      uint32Frame(FrameType.windowUpdate, 0, this.limits.connectionWindowBytes - defaultWindowBytes),
    );
  }

  /** No new streams: the connection has failed or is being drained. */
  get closed(): boolean {
    return this.#closed || this.#draining;
  }

  get failed(): boolean {
    return this.#closed;
  }

  get hasOutput(): boolean {
    return this.#output.length > 0;
  }

  /** Bytes that wait here: for the peer's windows, or to be taken. */
  get unsentBytes(): number {
    return this.bufferedBytes + this.#outputBytes;
  }

  /** What must be written, in order. */
  takeOutput(): Buffer[] {
    const output = this.#output;
    this.#output = [];
    this.#outputBytes = 0;
    this.#queuedAnswers = 0;
    return output;
  }

  /** Takes bytes from the peer. After a connection error further bytes are ignored. */
  receive(chunk: Buffer): void {
    if (this.#closed) return;
    const input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    let at = 0;
    this.#receiving = true;
    try {
      if (this.#prefaceLeft > 0) {
        const take = Math.min(this.#prefaceLeft, input.length);
        const from = preface.length - this.#prefaceLeft;
        if (input.compare(preface, from, from + take, 0, take) !== 0)
          throw new Http2Error(ErrorCode.protocolError, 'bad connection preface');
        this.#prefaceLeft -= take;
        at = take;
      }
      while (input.length - at >= frameHeaderBytes) {
        const length = input.readUIntBE(at, 3);
        if (length > defaultFrameBytesMax) throw new Http2Error(ErrorCode.frameSizeError, `frame of ${length} bytes`);
        if (input.length - at < frameHeaderBytes + length) break;
        const type = input[at + 3]!;
        const flags = input[at + 4]!;
        const streamId = input.readUInt32BE(at + 5) & 0x7fffffff;
        this.#frame(type, flags, streamId, input.subarray(at + frameHeaderBytes, at + frameHeaderBytes + length));
        at += frameHeaderBytes + length;
        if (this.#closed) return;
      }
      this.#input = at === input.length ? Buffer.alloc(0) : Buffer.from(input.subarray(at));
    } catch (error) {
      if (error instanceof HpackError) this.#fail(ErrorCode.compressionError, error.message);
      else if (error instanceof Http2Error) this.#fail(error.code, error.message);
      else throw error;
    } finally {
      this.#receiving = false;
    }
  }

  /** Client: opens a stream. Undefined when the peer allows no more now, or the connection is going away. */
  open(headers: readonly Header[], endStream: boolean, handler: StreamHandler): Http2Stream | undefined {
    if (this.closed || this.streams.size >= this.peerStreamsMax || this.#nextStreamId > windowBytesMax)
      return undefined;
    const stream = new Http2Stream(this, this.#nextStreamId, this.peerInitialWindow, this.limits.streamWindowBytes);
    this.#nextStreamId += 2;
    stream.handler = handler;
    this.streams.set(stream.id, stream);
    stream.sendHeaders(encodeHeaders(headers), endStream);
    return stream;
  }

  /** Refuses new streams, lets those that run finish. */
  drain(): void {
    if (this.closed) return;
    this.#draining = true;
    this.#emit(goawayFrame(this.#lastPeerStreamId, ErrorCode.noError, ''));
  }

  /** The socket is gone: every stream ends. */
  lost(message: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endAll(ErrorCode.cancel, message);
    this.#onGoaway?.(ErrorCode.noError, message);
  }

  ping(data: Buffer): void {
    this.#emit(frame(FrameType.ping, 0, 0, data));
  }

  /** For streams: queues bytes as they are. */
  write(bytes: Buffer): void {
    this.#emit(bytes);
  }

  /** For streams: how much of `wanted` bytes may go out now. */
  takeWindow(wanted: number): number {
    const granted = Math.min(wanted, this.#sendWindow);
    this.#sendWindow -= granted;
    return granted;
  }

  /** For streams: bytes were consumed; the peer may send as many again. */
  consumed(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed < this.limits.connectionWindowBytes / 2) return;
    this.#emit(uint32Frame(FrameType.windowUpdate, 0, this.#consumed));
    this.#receiveWindow += this.#consumed;
    this.#consumed = 0;
  }

  /** For streams: both sides are done with it. */
  forget(stream: Http2Stream): void {
    if (!this.streams.delete(stream.id)) return;
    if (this.#isPeers(stream.id)) this.#peerStreams--;
  }

  #isPeers(streamId: number): boolean {
    return (streamId & 1) === (this.#role === 'server' ? 1 : 0);
  }

  #frame(type: number, flags: number, streamId: number, payload: Buffer): void {
    if (!this.#settingsSeen && (type !== FrameType.settings || flags & Flag.ack))
      throw new Http2Error(ErrorCode.protocolError, 'first frame is no SETTINGS');
    if (this.#block !== undefined && (type !== FrameType.continuation || streamId !== this.#block.streamId))
      throw new Http2Error(ErrorCode.protocolError, 'header block is interrupted');
    switch (type) {
      case FrameType.data:
        this.#data(flags, streamId, payload);
        return;
      case FrameType.headers:
        this.#headers(flags, streamId, payload);
        return;
      case FrameType.continuation:
        this.#continuation(flags, payload);
        return;
      case FrameType.rstStream:
        this.#resetByPeer(streamId, payload);
        return;
      case FrameType.settings:
        this.#settings(flags, streamId, payload);
        return;
      case FrameType.ping:
        if (streamId !== 0) throw new Http2Error(ErrorCode.protocolError, 'PING on a stream');
        if (payload.length !== 8) throw new Http2Error(ErrorCode.frameSizeError, 'PING of the wrong size');
        if (!(flags & Flag.ack)) this.#answer(frame(FrameType.ping, Flag.ack, 0, payload));
        return;
      case FrameType.goaway:
        this.#goaway(streamId, payload);
        return;
      case FrameType.windowUpdate:
        this.#windowUpdate(streamId, payload);
        return;
      case FrameType.priority:
        if (streamId === 0) throw new Http2Error(ErrorCode.protocolError, 'PRIORITY on stream 0');
        if (payload.length !== 5) throw new Http2Error(ErrorCode.frameSizeError, 'PRIORITY of the wrong size');
        return;
      case FrameType.pushPromise:
        throw new Http2Error(ErrorCode.protocolError, 'PUSH_PROMISE is disabled');
      default:
        // Frames of unknown type are ignored (section 4.1).
        return;
    }
  }

  #data(flags: number, streamId: number, payload: Buffer): void {
    if (streamId === 0) throw new Http2Error(ErrorCode.protocolError, 'DATA on stream 0');
    const endStream = (flags & Flag.endStream) !== 0;
    const body = unpad(flags, payload);
    this.#receiveWindow -= payload.length;
    if (this.#receiveWindow < 0) throw new Http2Error(ErrorCode.flowControlError, 'connection window exceeded');
    if (payload.length === 0 && !endStream) {
      if (++this.#emptyFrames > this.limits.emptyFramesMax)
        throw new Http2Error(ErrorCode.enhanceYourCalm, 'too many empty frames');
    } else this.#emptyFrames = 0;
    const stream = this.streams.get(streamId);
    if (stream === undefined || stream.remoteClosed) {
      this.#requireKnown(streamId);
      this.consumed(payload.length);
      if (stream !== undefined) stream.reset(ErrorCode.streamClosed);
      return;
    }
    if (!stream.takeReceiveWindow(payload.length)) {
      this.consumed(payload.length);
      stream.fail(ErrorCode.flowControlError, 'stream window exceeded');
      return;
    }
    // Padding is used up as it arrives.
    if (payload.length > body.length) stream.consume(payload.length - body.length);
    if (endStream) stream.remoteClosed = true;
    stream.handler.data(body, endStream);
    if (endStream) stream.settle();
  }

  #headers(flags: number, streamId: number, payload: Buffer): void {
    if (streamId === 0) throw new Http2Error(ErrorCode.protocolError, 'HEADERS on stream 0');
    let block = unpad(flags, payload);
    if (flags & Flag.priority) {
      if (block.length < 5) throw new Http2Error(ErrorCode.frameSizeError, 'HEADERS are cut off');
      if ((block.readUInt32BE(0) & 0x7fffffff) === streamId)
        throw new Http2Error(ErrorCode.protocolError, 'stream depends on itself');
      block = block.subarray(5);
    }
    const endStream = (flags & Flag.endStream) !== 0;
    if (flags & Flag.endHeaders) this.#headerBlock(streamId, endStream, block);
    else this.#block = { streamId, endStream, chunks: [Buffer.from(block)], bytes: block.length };
  }

  #continuation(flags: number, payload: Buffer): void {
    const block = this.#block;
    if (block === undefined) throw new Http2Error(ErrorCode.protocolError, 'CONTINUATION without HEADERS');
    block.chunks.push(Buffer.from(payload));
    block.bytes += payload.length;
    if (block.bytes > this.limits.headerListBytesMax || block.chunks.length > 64)
      throw new Http2Error(ErrorCode.enhanceYourCalm, 'header block is too large');
    if (!(flags & Flag.endHeaders)) return;
    this.#block = undefined;
    this.#headerBlock(block.streamId, block.endStream, Buffer.concat(block.chunks));
  }

  #headerBlock(streamId: number, endStream: boolean, block: Buffer): void {
    let headers: readonly Header[] | undefined;
    try {
      headers = this.#decoder.decode(block);
    } catch (error) {
      if (!(error instanceof HeaderListTooLargeError)) throw error;
    }
    const stream = this.streams.get(streamId);
    if (stream !== undefined) {
      if (stream.remoteClosed) {
        stream.fail(ErrorCode.streamClosed, 'HEADERS after the end of the stream');
        return;
      }
      if (headers === undefined) {
        stream.fail(ErrorCode.protocolError, 'header list is too large');
        return;
      }
      if (endStream) stream.remoteClosed = true;
      stream.handler.headers(headers, endStream);
      if (endStream) stream.settle();
      return;
    }
    if (this.#role === 'client' || !this.#isPeers(streamId)) {
      this.#requireKnown(streamId);
      return;
    }
    if (streamId <= this.#lastPeerStreamId) throw new Http2Error(ErrorCode.streamClosed, 'HEADERS on a closed stream');
    this.#lastPeerStreamId = streamId;
    if (this.#draining || this.#peerStreams >= this.limits.streamsMax) {
      this.#answer(uint32Frame(FrameType.rstStream, streamId, ErrorCode.refusedStream));
      return;
    }
    if (headers === undefined) {
      this.#answer(uint32Frame(FrameType.rstStream, streamId, ErrorCode.enhanceYourCalm));
      return;
    }
    const opened = new Http2Stream(this, streamId, this.peerInitialWindow, this.limits.streamWindowBytes);
    this.streams.set(streamId, opened);
    this.#peerStreams++;
    if (endStream) opened.remoteClosed = true;
    opened.handler = this.#accept!(opened, headers, endStream);
    if (endStream) opened.settle();
  }

  #resetByPeer(streamId: number, payload: Buffer): void {
    if (streamId === 0) throw new Http2Error(ErrorCode.protocolError, 'RST_STREAM on stream 0');
    if (payload.length !== 4) throw new Http2Error(ErrorCode.frameSizeError, 'RST_STREAM of the wrong size');
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.#requireKnown(streamId);
      return;
    }
    if (this.#role === 'server' && ++this.#cancelled > this.limits.cancelledStreamsMax)
      throw new Http2Error(ErrorCode.enhanceYourCalm, 'too many cancelled streams');
    stream.lost(payload.readUInt32BE(0), 'stream reset by peer');
  }

  /** A stream that ended well earns back what a cancelled one cost. */
  finishedWell(): void {
    if (this.#cancelled > 0) this.#cancelled--;
  }

  #settings(flags: number, streamId: number, payload: Buffer): void {
    if (streamId !== 0) throw new Http2Error(ErrorCode.protocolError, 'SETTINGS on a stream');
    if (flags & Flag.ack) {
      if (payload.length !== 0) throw new Http2Error(ErrorCode.frameSizeError, 'SETTINGS acknowledgement with content');
      return;
    }
    if (payload.length % 6 !== 0) throw new Http2Error(ErrorCode.frameSizeError, 'SETTINGS of the wrong size');
    this.#settingsSeen = true;
    for (let at = 0; at < payload.length; at += 6)
      this.#setting(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    this.#answer(frame(FrameType.settings, Flag.ack, 0, Buffer.alloc(0)));
  }

  #setting(id: number, value: number): void {
    switch (id) {
      case Setting.enablePush:
        if (value > 1) throw new Http2Error(ErrorCode.protocolError, 'ENABLE_PUSH is neither 0 nor 1');
        return;
      case Setting.maxConcurrentStreams:
        this.peerStreamsMax = value;
        return;
      case Setting.initialWindowSize: {
        if (value > windowBytesMax)
          throw new Http2Error(ErrorCode.flowControlError, 'INITIAL_WINDOW_SIZE is too large');
        const change = value - this.peerInitialWindow;
        this.peerInitialWindow = value;
        for (const stream of this.streams.values()) stream.grow(change);
        return;
      }
      case Setting.maxFrameSize:
        if (value < defaultFrameBytesMax || value > 2 ** 24 - 1)
          throw new Http2Error(ErrorCode.protocolError, 'MAX_FRAME_SIZE is out of range');
        this.peerFrameBytesMax = value;
        return;
      default:
        return;
    }
  }

  #goaway(streamId: number, payload: Buffer): void {
    if (streamId !== 0) throw new Http2Error(ErrorCode.protocolError, 'GOAWAY on a stream');
    if (payload.length < 8) throw new Http2Error(ErrorCode.frameSizeError, 'GOAWAY is cut off');
    const last = payload.readUInt32BE(0) & 0x7fffffff;
    const code = payload.readUInt32BE(4);
    this.#draining = true;
    for (const stream of [...this.streams.values()])
      if (!this.#isPeers(stream.id) && stream.id > last) stream.lost(ErrorCode.refusedStream, 'the peer is going away');
    this.#onGoaway?.(code, payload.toString('utf8', 8));
  }

  #windowUpdate(streamId: number, payload: Buffer): void {
    if (payload.length !== 4) throw new Http2Error(ErrorCode.frameSizeError, 'WINDOW_UPDATE of the wrong size');
    const by = payload.readUInt32BE(0) & 0x7fffffff;
    if (streamId === 0) {
      if (by === 0) throw new Http2Error(ErrorCode.protocolError, 'WINDOW_UPDATE by 0');
      this.#sendWindow += by;
      if (this.#sendWindow > windowBytesMax)
        throw new Http2Error(ErrorCode.flowControlError, 'connection window overflows');
      for (const stream of this.streams.values()) {
        if (this.#sendWindow === 0) break;
        stream.flush();
      }
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) this.#requireKnown(streamId);
    else if (by === 0) stream.fail(ErrorCode.protocolError, 'WINDOW_UPDATE by 0');
    else stream.grow(by);
  }

  /** A frame for a stream that was never opened is a connection error; for one that has ended it is late, and ignored. */
  #requireKnown(streamId: number): void {
    const known = this.#isPeers(streamId) ? streamId <= this.#lastPeerStreamId : streamId < this.#nextStreamId;
    if (!known) throw new Http2Error(ErrorCode.protocolError, `frame on idle stream ${streamId}`);
  }

  #emit(...frames: Buffer[]): void {
    const first = this.#output.length === 0;
    for (const each of frames) {
      this.#output.push(each);
      this.#outputBytes += each.length;
    }
    if (first && !this.#receiving) this.#onOutput?.();
  }

  #answer(bytes: Buffer): void {
    if (++this.#queuedAnswers > this.limits.queuedAnswersMax)
      throw new Http2Error(ErrorCode.enhanceYourCalm, 'too many frames that want an answer');
    this.#emit(bytes);
  }

  #fail(code: ErrorCode, message: string): void {
    this.#closed = true;
    this.#emit(goawayFrame(this.#lastPeerStreamId, code, message));
    this.#endAll(code, message);
    this.#onGoaway?.(code, message);
  }

  #endAll(code: ErrorCode, message: string): void {
    for (const stream of [...this.streams.values()]) stream.lost(code, message);
  }
}

function unpad(flags: number, payload: Buffer): Buffer {
  if (!(flags & Flag.padded)) return payload;
  const padding = payload[0];
  if (padding === undefined || padding >= payload.length)
    throw new Http2Error(ErrorCode.protocolError, 'more padding than payload');
  return payload.subarray(1, payload.length - padding);
}

/** Who counts what waits is told at once of this much; of less once a turn. */
const toldBytesMin = 16 << 10;
/** Data up to this size is copied behind its frame's header: one piece of output costs more than the copy. */
const joinedBytesMax = 1 << 10;

/** One request and its response. */
export class Http2Stream {
  readonly id: number;
  handler!: StreamHandler;
  remoteClosed = false;
  localClosed = false;
  readonly #connection: Http2Connection;
  #sendWindow: number;
  #receiveWindow: number;
  #consumed = 0;
  /** Waits for window: data, then perhaps a last header block. */
  #pending: { data: Buffer; endStream: boolean }[] = [];
  #trailers: Buffer | undefined;
  bufferedBytes = 0;
  #ended = false;

  constructor(connection: Http2Connection, id: number, sendWindow: number, receiveWindow: number) {
    this.#connection = connection;
    this.id = id;
    this.#sendWindow = sendWindow;
    this.#receiveWindow = receiveWindow;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Sends an encoded header block; after data that still waits, when it ends the stream. */
  sendHeaders(block: Buffer, endStream: boolean): void {
    if (this.localClosed || this.#ended) return;
    if (this.#pending.length > 0 && endStream) {
      this.#trailers = block;
      this.localClosed = true;
      return;
    }
    this.#writeBlock(block, endStream);
    if (endStream) {
      this.localClosed = true;
      this.settle();
    }
  }

  /** Sends data, or keeps it until the peer's window lets it go. The buffer belongs to the stream from now on. */
  send(data: Buffer, endStream: boolean): void {
    if (this.localClosed || this.#ended) return;
    if (endStream) this.localClosed = true;
    this.#pending.push({ data, endStream });
    this.bufferedBytes += data.length;
    this.#connection.bufferedBytes += data.length;
    this.flush();
    if (data.length >= toldBytesMin) this.#connection.onSend?.();
  }

  /** Sends as much as the windows allow. */
  flush(): void {
    if (this.#pending.length === 0) return;
    while (this.#pending.length > 0) {
      const next = this.#pending[0]!;
      const { data, endStream } = next;
      if (data.length > 0) {
        const wanted = Math.min(data.length, this.#sendWindow, this.#connection.peerFrameBytesMax);
        const granted = wanted > 0 ? this.#connection.takeWindow(wanted) : 0;
        if (granted <= 0) return;
        this.#sendWindow -= granted;
        this.bufferedBytes -= granted;
        this.#connection.bufferedBytes -= granted;
        const last = granted === data.length;
        this.#writeData(last ? data : data.subarray(0, granted), last && endStream);
        if (!last) {
          next.data = data.subarray(granted);
          continue;
        }
      } else this.#writeData(data, endStream);
      this.#pending.shift();
    }
    if (this.#trailers !== undefined) {
      this.#writeBlock(this.#trailers, true);
      this.#trailers = undefined;
    }
    if (this.localClosed) this.settle();
    else this.handler.writable();
  }

  /** The handler is done with `bytes` of what it was given. */
  consume(bytes: number): void {
    if (bytes === 0) return;
    this.#connection.consumed(bytes);
    if (this.remoteClosed || this.#ended) return;
    this.#consumed += bytes;
    if (this.#consumed < this.#connection.limits.streamWindowBytes / 2) return;
    this.#connection.write(uint32Frame(FrameType.windowUpdate, this.id, this.#consumed));
    this.#receiveWindow += this.#consumed;
    this.#consumed = 0;
  }

  /** Ends the stream from this side; the handler hears nothing more. */
  reset(code: ErrorCode): void {
    if (this.#ended) return;
    this.#connection.write(uint32Frame(FrameType.rstStream, this.id, code));
    this.#end();
  }

  /** The peer broke a rule on this stream: resets it and tells the handler. */
  fail(code: ErrorCode, message: string): void {
    if (this.#ended) return;
    this.reset(code);
    this.handler.reset(code, message);
  }

  /** The peer or the connection ended the stream. */
  lost(code: ErrorCode, message: string): void {
    if (this.#ended) return;
    this.#end();
    this.handler.reset(code, message);
  }

  /** The peer widened (or narrowed) the window. */
  grow(by: number): void {
    this.#sendWindow += by;
    if (this.#sendWindow > windowBytesMax) {
      this.fail(ErrorCode.flowControlError, 'stream window overflows');
      return;
    }
    if (this.#sendWindow > 0) this.flush();
  }

  takeReceiveWindow(bytes: number): boolean {
    this.#receiveWindow -= bytes;
    return this.#receiveWindow >= 0;
  }

  /** Forgets the stream once both sides have ended it. */
  settle(): void {
    if (
      this.#ended ||
      !this.remoteClosed ||
      !this.localClosed ||
      this.#pending.length > 0 ||
      this.#trailers !== undefined
    )
      return;
    this.#connection.finishedWell();
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#pending = [];
    this.#trailers = undefined;
    this.#connection.bufferedBytes -= this.bufferedBytes;
    this.bufferedBytes = 0;
    this.#connection.forget(this);
  }

  #writeBlock(block: Buffer, endStream: boolean): void {
    const { peerFrameBytesMax } = this.#connection;
    const first = block.subarray(0, peerFrameBytesMax);
    let rest = block.subarray(first.length);
    this.#connection.write(
      frame(
        FrameType.headers,
        (endStream ? Flag.endStream : 0) | (rest.length === 0 ? Flag.endHeaders : 0),
        this.id,
        first,
      ),
    );
    while (rest.length > 0) {
      const part = rest.subarray(0, peerFrameBytesMax);
      rest = rest.subarray(part.length);
      this.#connection.write(frame(FrameType.continuation, rest.length === 0 ? Flag.endHeaders : 0, this.id, part));
    }
  }

  #writeData(data: Buffer, endStream: boolean): void {
    const joined = data.length <= joinedBytesMax;
    const header = Buffer.allocUnsafe(frameHeaderBytes + (joined ? data.length : 0));
    writeFrameHeader(header, 0, data.length, FrameType.data, endStream ? Flag.endStream : 0, this.id);
    if (joined) data.copy(header, frameHeaderBytes);
    this.#connection.write(header);
    if (!joined) this.#connection.write(data);
  }
}
