/**
 * The daemon's end of the zygote: one helper process that forks for every request, so that the daemon itself never forks and never
 * blocks. Requests are plans; the answer is the kernel's. Descriptors come back over a second socket.
 * The zygote ends with this process; monitors it started live on.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { closeFd, receiveFd, socketPair } from './fd-socket.ts';
import { FieldWriter, type HelperFailure, type Plan } from './plan.ts';

/** Requests on their way at one time; more wait here. */
const requestsMax = 128;
/** Requests that wait; more are refused. */
const waitingMax = 4096;
const replyHeaderBytes = 32;

/** The kernel refused an operation of a plan. */
export class HelperError extends Error implements HelperFailure {
  override readonly name = 'HelperError';
  readonly tag: number;
  readonly errno: number;
  readonly text: string;

  constructor(failure: HelperFailure, message: string) {
    super(message);
    this.tag = failure.tag;
    this.errno = failure.errno;
    this.text = failure.text;
  }
}

export interface HelperReply {
  /** Of a started process: its pid. */
  readonly value: bigint;
  /** Of a started process: its start time in clock ticks. */
  readonly value2: bigint;
}

interface Request {
  readonly id: number;
  readonly kind: number;
  readonly bytes: Uint8Array;
  readonly plan: Plan;
  readonly wantsFd: boolean;
  readonly resolve: (reply: HelperReply & { readonly fd: number }) => void;
  readonly reject: (error: Error) => void;
}

const kindRun = 1;
const kindMonitor = 2;

/** The zygote, and another one in its place when somebody killed it: what was on its way then rejects, what is asked for next is done. */
export class Zygote implements AsyncDisposable {
  readonly #helper: string;
  #process: ZygoteProcess;
  #closed = false;

  /** Starts it. `helper` is the binary's path. */
  constructor(helper: string) {
    this.#helper = helper;
    this.#process = new ZygoteProcess(helper);
  }

  /** Of the process at this moment; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Carries out a plan in a process of its own. Rejects with HelperError. */
  async run(plan: Plan): Promise<HelperReply> {
    return this.#living().run(plan);
  }

  /** As {@link run}; the plan makes a socket, which the caller gets and closes. */
  async runForFd(plan: Plan): Promise<number> {
    return this.#living().runForFd(plan);
  }

  /** Starts a monitor by its bytes; resolves when its process is created. `plan` explains failures. */
  async startMonitor(bytes: Uint8Array, plan: Plan): Promise<HelperReply> {
    return this.#living().startMonitor(bytes, plan);
  }

  /** Ends the zygote, not what it started. What is still on its way rejects. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    return this.#process[Symbol.asyncDispose]();
  }

  #living(): ZygoteProcess {
    if (this.#process.ended && !this.#closed) this.#process = new ZygoteProcess(this.#helper);
    return this.#process;
  }
}

class ZygoteProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #socket: Duplex;
  readonly #fdSocket: number;
  readonly #sent = new Map<number, Request>();
  readonly #waiting: Request[] = [];
  /** Descriptors that came before the request they belong to was looked at. */
  readonly #fds = new Map<number, number>();
  #nextId = 1;
  #received: Buffer = Buffer.alloc(0);
  #ended: Error | undefined;
  readonly #closed: Promise<void>;

  constructor(helper: string) {
    const [ours, theirs] = socketPair();
    this.#fdSocket = ours;
    try {
      this.#child = spawn(helper, ['zygote'], {
        stdio: ['ignore', 'ignore', 'inherit', 'pipe', theirs],
        detached: true,
      });
    } finally {
      closeFd(theirs);
    }
    this.#socket = this.#child.stdio[3] as Duplex;
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.on('close', () => this.#end(new Error('the helper is gone')));
    this.#child.on('error', (error) => this.#end(error));
    this.#child.unref();
    this.#closed = new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
      this.#child.once('error', () => resolve());
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  async run(plan: Plan): Promise<HelperReply> {
    return this.#request(kindRun, plan.finish(), plan, false);
  }

  async runForFd(plan: Plan): Promise<number> {
    const { fd } = await this.#request(kindRun, plan.finish(), plan, true);
    return fd;
  }

  async startMonitor(bytes: Uint8Array, plan: Plan): Promise<HelperReply> {
    return this.#request(kindMonitor, bytes, plan, false);
  }

  #request(
    kind: number,
    bytes: Uint8Array,
    plan: Plan,
    wantsFd: boolean,
  ): Promise<HelperReply & { readonly fd: number }> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      const request: Request = { id: this.#nextId++, kind, bytes, plan, wantsFd, resolve, reject };
      if (this.#nextId > 0xffff_ffff) this.#nextId = 1;
      if (this.#sent.size < requestsMax) this.#send(request);
      else if (this.#waiting.length < waitingMax) this.#waiting.push(request);
      else reject(new Error('too many requests wait for the helper'));
    });
  }

  #send(request: Request): void {
    this.#sent.set(request.id, request);
    const head = new FieldWriter()
      .u32(8 + request.bytes.length)
      .u32(request.id)
      .u32(request.kind)
      .finish();
    this.#socket.write(Buffer.concat([head, request.bytes]));
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    let at = 0;
    while (this.#received.length - at >= 4) {
      const length = 4 + this.#received.readUInt32LE(at);
      if (this.#received.length - at < length) break;
      this.#reply(this.#received.subarray(at, at + length));
      at += length;
    }
    this.#received = this.#received.subarray(at);
  }

  #reply(frame: Buffer): void {
    const id = frame.readUInt32LE(4);
    const errno = frame.readInt32LE(8);
    const hasFd = errno === 0 && frame.readBigUInt64LE(24) === 1n;
    const request = this.#sent.get(id);
    // A worker that answered and then ended badly is reported once more by the zygote: nobody waits any more.
    if (request === undefined) return;
    this.#sent.delete(id);
    const next = this.#waiting.shift();
    if (next !== undefined) this.#send(next);
    if (errno !== 0) {
      const failure = { tag: frame.readUInt32LE(12), errno, text: frame.toString('utf8', replyHeaderBytes) };
      request.reject(new HelperError(failure, request.plan.explanations.of(failure) ?? failure.text));
      return;
    }
    const fd = request.wantsFd && hasFd ? this.#takeFd(id) : -1;
    if (request.wantsFd && fd < 0) request.reject(new Error('the helper sent no descriptor'));
    else request.resolve({ value: frame.readBigUInt64LE(16), value2: frame.readBigUInt64LE(24), fd });
  }

  /** The descriptor was sent before the reply, so it is there; those of other requests may come first. */
  #takeFd(id: number): number {
    for (;;) {
      const early = this.#fds.get(id);
      if (early !== undefined) {
        this.#fds.delete(id);
        return early;
      }
      const received = receiveFd(this.#fdSocket);
      if (received === undefined) return -1;
      this.#fds.set(received.request, received.fd);
    }
  }

  #end(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    for (const request of [...this.#sent.values(), ...this.#waiting]) request.reject(error);
    this.#sent.clear();
    this.#waiting.length = 0;
    for (const fd of this.#fds.values()) closeFd(fd);
    this.#fds.clear();
    closeFd(this.#fdSocket);
    this.#socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(new Error('the helper was closed'));
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.ref();
    await this.#closed;
  }
}
