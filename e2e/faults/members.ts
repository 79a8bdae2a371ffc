/** Members of one cluster as processes, each on a host of its own, with a connection that clients share. */

import { systemClock } from '#host/clock.ts';
import type { CallOptions, Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { parseTarget } from '#transport/dial.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { type Ending, endingOf } from '../../sim/ask.ts';
import { type Running, start } from '../shell.ts';
import type { Host } from './hosts.ts';

const binary = new URL('../../bin/etcd', import.meta.url).pathname;
/** Checkpoints, and states that are sent to whoever was away, happen all the time. */
const snapshotEntries = 500;

export class Member {
  readonly host: Host;
  readonly #all: readonly Host[];
  readonly #violated: (what: string) => void;
  #channel: Channel;
  #running: Running | undefined;
  /** A fault is at work on the process, or its disk: whatever ends now ends because of it. */
  #excused = 0;
  #ended = 0;

  constructor(host: Host, all: readonly Host[], violated: (what: string) => void) {
    this.host = host;
    this.#all = all;
    this.#violated = violated;
    this.#channel = this.#connect();
  }

  get name(): string {
    return this.host.name;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Nobody else may do anything to the process, or the disk, meanwhile. */
  get isBusy(): boolean {
    return this.#excused > 0;
  }

  get channel(): Channel {
    return this.#channel;
  }

  /** One request of a client. @returns never rejects; an answer that no member has a reason for breaks a promise */
  async ask<T>(timeoutMs: number, call: (channel: Channel) => Promise<T>): Promise<Ending<T>> {
    const channel = this.#channel;
    const patient: Channel = {
      unary: (method, request, options) => channel.unary(method, request, { ...options, timeoutMs }),
      open: (method, options?: CallOptions) => channel.open(method, { ...options, timeoutMs }),
      async [Symbol.asyncDispose]() {},
    };
    try {
      return { kind: 'answered', value: await call(patient) };
    } catch (error) {
      const isGone = error instanceof RpcError && error.code === Code.Unavailable;
      // A client in a hurry: it does not wait until it may dial again.
      if (isGone && channel === this.#channel) this.#reconnect();
      return endingOf(error, (what) => this.#violated(`${this.name} ${what}`));
    }
  }

  #reconnect(): void {
    const old = this.#channel;
    this.#channel = this.#connect();
    void old[Symbol.asyncDispose]();
  }

  #connect(): Channel {
    const target = parseTarget(`http://${this.host.address}:2379`);
    const keepAlive = { timeMs: 1000, timeoutMs: 1000 };
    return connectRpc({ target, clock: systemClock, keepAlive, connectTimeoutMs: 1000 });
  }

  /** Times that it ended by itself, as it may with a disk that is full. */
  get ended(): number {
    return this.#ended;
  }

  /** Whatever happens to the process while `fault` is at work is not its own doing. */
  async during<T>(fault: () => Promise<T>): Promise<T> {
    this.#excused++;
    try {
      return await fault();
    } finally {
      this.#excused--;
    }
  }

  start(): void {
    if (this.#running !== undefined) return;
    const { address, dataDir } = this.host;
    const urls = (port: number) => `http://${address}:${port}`;
    const [program, ...args] = this.host.command(
      ...[binary, '--name', this.name, '--data-dir', dataDir, '--snapshot-count', String(snapshotEntries)],
      ...['--listen-client-urls', urls(2379), '--advertise-client-urls', urls(2379)],
      ...['--listen-peer-urls', urls(2380), '--initial-advertise-peer-urls', urls(2380)],
      ...['--initial-cluster', this.#all.map((host) => `${host.name}=http://${host.address}:2380`).join(',')],
    );
    const running = start(program, args);
    this.#running = running;
    void running.ended.then((code) => {
      if (this.#running !== running) return;
      this.#running = undefined;
      this.#ended++;
      if (this.#excused === 0) this.#violated(`${this.name} ended with ${code}: ${running.output().slice(-2000)}`);
    });
  }

  /** Resolves when the process is gone. */
  async end(how: 'kill' | 'stop'): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    if (how === 'kill') await running.kill();
    else {
      process.kill(-running.child.pid!, 'SIGTERM');
      await running.ended;
    }
  }

  /** Resolves with what the process has said when it has ended by itself. */
  async endsByItself(): Promise<string> {
    const running = this.#running;
    if (running === undefined) return '';
    await running.ended;
    return running.output();
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    const child = this.#running?.child;
    if (child?.exitCode === null && child.signalCode === null) process.kill(-child.pid!, signal);
  }
}
