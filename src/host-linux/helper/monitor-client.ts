/**
 * A connection to a monitor (`native/src/monitor_clients.c` is the other end): one for control, or one for a process's streams.
 * Frames both ways are u8 type, u8 a, u16 zero, u32 length, payload; little endian.
 */
import { closeSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';

export const protocolVersion = 1;

const Frame = {
  start: 1,
  resize: 2,
  stdin: 3,
  closeStdin: 4,
  attach: 5,
  reopenLog: 6,
  kill: 7,
  quit: 8,
  hello: 128,
  reply: 129,
  output: 130,
  outputEnd: 131,
  started: 132,
  exit: 133,
} as const;

const headerBytes = 8;
const payloadBytesMax = 16384;
const receivedBytesMax = 1 << 20;

export const MonitorFlag = { terminal: 1, stdin: 2, stdinOnce: 4, waitForAttach: 8 } as const;

export interface MonitorStatus {
  readonly status: 'created' | 'running' | 'stopped';
  readonly pid: number;
  readonly pidStartTime: bigint;
  /** Nanoseconds since 1970; 0 until then. */
  readonly startedAt: bigint;
  readonly exitedAt: bigint;
  readonly exitCode: number;
  /** 0: it was not killed by a signal. */
  readonly exitSignal: number;
}

/** The monitor or the kernel refused. */
export class MonitorError extends Error {
  override readonly name = 'MonitorError';
  readonly errno: number;
  /** The operation of the plan that failed; 0 for none. */
  readonly tag: number;
  readonly text: string;

  constructor(errno: number, text: string) {
    const [, tag, rest] = /^(\d+) (.*)$/s.exec(text) ?? [];
    super(rest ?? text);
    this.errno = errno;
    this.tag = Number(tag ?? 0);
    this.text = rest ?? text;
  }
}

export interface MonitorEvents {
  readonly onStatus?: (status: MonitorStatus) => void;
  /** False: no more until {@link MonitorConnection.resume}. `data` undefined: the stream has ended. */
  readonly onOutput?: (stream: 'stdout' | 'stderr', data: Uint8Array | undefined) => boolean;
  readonly onDrain?: () => void;
  /** Once, at last: the connection has ended. */
  readonly onClose?: () => void;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class MonitorConnection implements Disposable {
  readonly #socket: Socket;
  readonly #events: MonitorEvents;
  readonly #waiting = new Map<number, Waiting[]>();
  #received: Buffer = Buffer.alloc(0);
  #status: MonitorStatus | undefined;
  #closed = false;

  private constructor(socket: Socket, events: MonitorEvents) {
    this.#socket = socket;
    this.#events = events;
  }

  /** Connects to the monitor of a state folder. Rejects when there is none, or it speaks another version. */
  static open(folder: string, events: MonitorEvents = {}): Promise<MonitorConnection> {
    return new Promise((resolve, reject) => {
      // The folder's path may be longer than a socket's address.
      const holder = openSync(folder, 'r');
      const socket = connect(join('/proc/self/fd', String(holder), 'monitor.sock'));
      const connection = new MonitorConnection(socket, events);
      let held = true;
      const letGo = () => {
        if (held) closeSync(holder);
        held = false;
      };
      socket.once('connect', letGo);
      // Also after it was connected: a monitor that ends while something is being sent to it.
      socket.on('error', reject);
      socket.on('data', (chunk: Buffer) => {
        const first = connection.#status === undefined;
        try {
          connection.#receive(chunk);
        } catch (error) {
          reject(error as Error);
          socket.destroy(error as Error);
          return;
        }
        if (first && connection.#status !== undefined) resolve(connection);
      });
      socket.on('drain', () => events.onDrain?.());
      socket.on('close', () => {
        letGo();
        connection.#close();
        reject(new Error('the monitor ended the connection'));
      });
    });
  }

  /** The latest known. */
  get status(): MonitorStatus {
    return this.#status!;
  }

  /** Lets the process go. Resolves when its program runs; rejects with MonitorError when it cannot. */
  start(): Promise<void> {
    return this.#ask(Frame.start, 0);
  }

  kill(signal: number): Promise<void> {
    return this.#ask(Frame.kill, signal);
  }

  reopenLog(): Promise<void> {
    return this.#ask(Frame.reopenLog, 0);
  }

  resize(width: number, height: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt16LE(height, 0);
    payload.writeUInt16LE(width, 2);
    this.#send(Frame.resize, 0, payload);
  }

  /** Both streams, from now on. */
  attach(): void {
    this.#send(Frame.attach, 3);
  }

  /** False: wait for onDrain. */
  writeStdin(data: Uint8Array): boolean {
    let room = true;
    for (let at = 0; at < data.length; at += payloadBytesMax)
      room = this.#send(Frame.stdin, 0, data.subarray(at, at + payloadBytesMax));
    return room;
  }

  closeStdin(): void {
    this.#send(Frame.closeStdin, 0);
  }

  /** The process has ended and nobody wants the rest of its output: the monitor may go. */
  quit(): void {
    this.#send(Frame.quit, 0);
  }

  resume(): void {
    this.#socket.resume();
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #ask(type: number, a: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(new MonitorError(3, 'the monitor is gone'));
        return;
      }
      const waiting = this.#waiting.get(type);
      if (waiting === undefined) this.#waiting.set(type, [{ resolve, reject }]);
      else waiting.push({ resolve, reject });
      this.#send(type, a);
    });
  }

  #send(type: number, a: number, payload?: Uint8Array): boolean {
    if (this.#closed) return false;
    const frame = Buffer.allocUnsafe(headerBytes + (payload?.length ?? 0));
    frame[0] = type;
    frame[1] = a;
    frame.writeUInt16LE(0, 2);
    frame.writeUInt32LE(payload?.length ?? 0, 4);
    if (payload !== undefined) frame.set(payload, headerBytes);
    return this.#socket.write(frame);
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    let at = 0;
    while (this.#received.length - at >= headerBytes) {
      const end = at + headerBytes + this.#received.readUInt32LE(at + 4);
      if (end - at > receivedBytesMax) throw new Error('a frame of the monitor is too long');
      if (this.#received.length < end) break;
      this.#frame(this.#received[at]!, this.#received[at + 1]!, this.#received.subarray(at + headerBytes, end));
      at = end;
    }
    this.#received = this.#received.subarray(at);
  }

  #frame(type: number, a: number, payload: Buffer): void {
    switch (type) {
      case Frame.hello:
      case Frame.started:
      case Frame.exit:
        this.#status = readStatus(payload);
        this.#events.onStatus?.(this.#status);
        return;
      case Frame.reply: {
        const waiting = this.#waiting.get(a)?.shift();
        const errno = payload.readInt32LE(0);
        if (errno === 0) waiting?.resolve();
        else waiting?.reject(new MonitorError(errno, payload.toString('utf8', 4)));
        return;
      }
      case Frame.output:
        if (this.#events.onOutput?.(a === 1 ? 'stdout' : 'stderr', new Uint8Array(payload)) === false)
          this.#socket.pause();
        return;
      case Frame.outputEnd:
        this.#events.onOutput?.(a === 1 ? 'stdout' : 'stderr', undefined);
        return;
      default:
        throw new Error(`the monitor sent an unknown frame ${type}`);
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const waiting of this.#waiting.values())
      for (const { reject } of waiting) reject(new MonitorError(3, 'the monitor is gone'));
    this.#waiting.clear();
    this.#events.onClose?.();
  }
}

function readStatus(payload: Buffer): MonitorStatus {
  const version = payload.readUInt32LE(0);
  if (version !== protocolVersion) throw new Error(`the monitor speaks version ${version}, not ${protocolVersion}`);
  return {
    status: (['created', 'running', 'stopped'] as const)[payload.readUInt32LE(4)]!,
    pid: payload.readUInt32LE(8),
    pidStartTime: payload.readBigUInt64LE(16),
    startedAt: payload.readBigInt64LE(24),
    exitedAt: payload.readBigInt64LE(32),
    exitCode: payload.readInt32LE(40),
    exitSignal: payload.readInt32LE(44),
  };
}
