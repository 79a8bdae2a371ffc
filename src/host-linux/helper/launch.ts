/**
 * One launch, or one plan, by a helper of its own: what a command line needs that has no daemon. The process it starts inherits our streams, and our parent (or
 * a subreaper above) becomes its parent, unless it runs in the foreground. `native/src/launch.c` is the other end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { noRegister } from './op-codes.ts';
import { FieldWriter, type Plan } from './plan.ts';
import { HelperError } from './zygote.ts';

const Mode = { foreground: 1, run: 2, go: 4 } as const;
const replyHeaderBytes = 32;

export interface LaunchRequest {
  /** As a monitor's launch. */
  readonly bytes: Uint8Array;
  readonly plan: Plan;
  /** Stay its parent until it ends. */
  readonly foreground?: boolean;
  /** Let it go at once; otherwise it waits at its FIFO. */
  readonly go?: boolean;
  /** Register with a connection that the terminal's descriptor is sent to. */
  readonly consoleRegister?: number;
}

export interface Launched {
  readonly pid: number;
  readonly pidStartTime: bigint;
  /** Of a process in the foreground: how it ended. */
  readonly ended: Promise<{ readonly exitCode: number; readonly signal: number }>;
}

/** Rejects with HelperError when the kernel refuses. */
export async function launchProcess(helper: string, request: LaunchRequest): Promise<Launched> {
  let mode = 0;
  if (request.foreground === true) mode |= Mode.foreground;
  if (request.go === true) mode |= Mode.go;
  const head = new FieldWriter().u32(mode).u32(request.consoleRegister ?? noRegister);
  const talk = new Talk(helper, Buffer.concat([head.finish(), request.bytes]));
  let reply: { readonly value: bigint; readonly value2: bigint };
  try {
    reply = await talk.reply(request.plan);
  } catch (error) {
    talk[Symbol.dispose]();
    throw error;
  }
  if (request.foreground !== true) talk[Symbol.dispose]();
  const ended =
    request.foreground === true
      ? talk
          .reply(request.plan)
          .then(({ value }) => waitStatus(Number(value)))
          .finally(() => talk[Symbol.dispose]())
      : Promise.reject(new Error('a process in the background is not waited for'));
  ended.catch(() => {});
  return { pid: Number(reply.value), pidStartTime: reply.value2, ended };
}

/** Carries out a plan. Rejects with HelperError. */
export async function runPlan(helper: string, plan: Plan): Promise<void> {
  const head = new FieldWriter().u32(Mode.run).u32(noRegister);
  using talk = new Talk(helper, Buffer.concat([head.finish(), plan.finish()]));
  await talk.reply(plan);
}

class Talk implements Disposable {
  readonly #child: ChildProcess;
  readonly #socket: Duplex;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(helper: string, message: Uint8Array) {
    this.#child = spawn(helper, ['launch'], { stdio: ['inherit', 'inherit', 'inherit', 'pipe'] });
    const socket = this.#child.stdio[3] as Duplex;
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake?.();
    });
    const end = () => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('close', end);
    socket.on('error', end);
    this.#child.on('error', end);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(message.length);
    socket.write(Buffer.concat([length, message]));
  }

  /** The process it started may hold the other end for as long as it waits at its FIFO: nothing here waits for that. */
  [Symbol.dispose](): void {
    this.#socket.destroy();
    this.#child.unref();
  }

  async reply(plan: Plan): Promise<{ readonly value: bigint; readonly value2: bigint }> {
    for (;;) {
      const bytes = this.#received;
      if (bytes.length >= replyHeaderBytes) {
        const end = 4 + bytes.readUInt32LE(0);
        if (bytes.length >= end) {
          this.#received = bytes.subarray(end);
          const errno = bytes.readInt32LE(8);
          if (errno === 0) return { value: bytes.readBigUInt64LE(16), value2: bytes.readBigUInt64LE(24) };
          const failure = { tag: bytes.readUInt32LE(12), errno, text: bytes.toString('utf8', replyHeaderBytes, end) };
          throw new HelperError(failure, plan.explanations.of(failure) ?? failure.text);
        }
      }
      if (this.#ended) throw new Error('the helper ended without an answer');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}

/** wait(2)'s status as a shell counts. */
function waitStatus(status: number): { exitCode: number; signal: number } {
  const signal = status & 0x7f;
  return signal === 0 ? { exitCode: (status >> 8) & 0xff, signal: 0 } : { exitCode: 128 + signal, signal };
}
