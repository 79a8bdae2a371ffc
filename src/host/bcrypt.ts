/**
 * Passwords as bcrypt hashes (`$2a$`). A hash is made to be slow, tens of milliseconds of computing: a thread of its own does it, started
 * when the first one is asked for. The salt comes from the caller's randomness.
 */
import { Worker } from 'node:worker_threads';
import { type Prng, randomBytes } from '#std/prng.ts';

export interface Passwords extends Disposable {
  /** @param cost a hash takes 2^cost rounds; 4 to 31 */
  hash(password: string, cost: number): Promise<string>;
  /** False for what is no hash, too. */
  matches(password: string, hash: string): Promise<boolean>;
}

export type BcryptRequest =
  | { readonly id: number; readonly password: string; readonly cost: number; readonly salt: Uint8Array }
  | { readonly id: number; readonly password: string; readonly hash: string };

export interface BcryptAnswer {
  readonly id: number;
  readonly result?: string | boolean;
  readonly error?: string;
}

const saltBytes = 16;
/** Hashes that may wait for the thread; more are refused. */
const waitingMax = 1000;

interface Waiting {
  readonly resolve: (result: string | boolean) => void;
  readonly reject: (error: Error) => void;
}

export function bcryptPasswords(prng: Prng): Passwords {
  return new BcryptThread(prng);
}

class BcryptThread implements Passwords {
  readonly #prng: Prng;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #lastId = 0;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  async hash(password: string, cost: number): Promise<string> {
    const salt = randomBytes(this.#prng, saltBytes);
    return (await this.#ask((id) => ({ id, password, cost, salt }))) as string;
  }

  async matches(password: string, hash: string): Promise<boolean> {
    return (await this.#ask((id) => ({ id, password, hash }))) as boolean;
  }

  [Symbol.dispose](): void {
    this.#end(new Error('no passwords are compared any more'));
  }

  #ask(request: (id: number) => BcryptRequest): Promise<string | boolean> {
    if (this.#waiting.size >= waitingMax) return Promise.reject(new Error('too many passwords wait to be compared'));
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject });
      this.#worker ??= this.#start();
      this.#worker.ref();
      this.#worker.postMessage(request(id));
    });
  }

  #start(): Worker {
    // In the bundle the thread's program stands beside the folder of chunks.
    const program = import.meta.url.endsWith('.mjs') ? '../bcrypt-thread.mjs' : './bcrypt-thread.ts';
    const worker = new Worker(new URL(program, import.meta.url));
    worker.on('message', ({ id, result, error }: BcryptAnswer) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      // A thread with nothing to do keeps no process alive.
      if (this.#waiting.size === 0) worker.unref();
      if (error === undefined) waiting?.resolve(result!);
      else waiting?.reject(new Error(error));
    });
    worker.on('error', (error) => this.#end(error instanceof Error ? error : new Error(String(error))));
    return worker;
  }

  #end(reason: Error): void {
    const worker = this.#worker;
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
    void worker?.terminate();
  }
}
