/**
 * Passwords as bcrypt hashes (`$2a$`). A hash is made to be slow, tens of milliseconds of computing: a thread of its own does it, started
 * when the first one is asked for. The salt comes from the caller's randomness.
 */
import { Worker } from 'node:worker_threads';
import { type Prng, randomBytes } from '#std/prng.ts';

export interface Passwords extends Disposable {
  /** @param cost a hash takes 2^cost rounds; 4 to 31 */
  hash(password: string, cost: number, signal: AbortSignal): Promise<string>;
  /** False for what is no hash, too. */
  matches(password: string, hash: string, signal: AbortSignal): Promise<boolean>;
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
  readonly request: BcryptRequest;
  readonly resolve: (result: string | boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** Whoever has gone leaves the line: nobody waits behind a password that nobody wants compared any more. */
export function bcryptPasswords(prng: Prng): Passwords {
  return new BcryptThread(prng);
}

class BcryptThread implements Passwords {
  readonly #prng: Prng;
  readonly #waiting = new Map<number, Waiting>();
  #underWay: Waiting | undefined;
  #worker: Worker | undefined;
  #lastId = 0;
  #disposed = false;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  async hash(password: string, cost: number, signal: AbortSignal): Promise<string> {
    const salt = randomBytes(this.#prng, saltBytes);
    return (await this.#ask((id) => ({ id, password, cost, salt }), signal)) as string;
  }

  async matches(password: string, hash: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#ask((id) => ({ id, password, hash }), signal)) as boolean;
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#end(new Error('no passwords are compared any more'));
  }

  #ask(request: (id: number) => BcryptRequest, signal: AbortSignal): Promise<string | boolean> {
    if (this.#disposed) return Promise.reject(new Error('no passwords are compared any more'));
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#waiting.size >= waitingMax) return Promise.reject(new Error('too many passwords wait to be compared'));
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      const onAbort = () => {
        // What the thread has begun, it ends; its answer is nobody's.
        this.#waiting.delete(id);
        reject(signal.reason);
      };
      const settled = () => signal.removeEventListener('abort', onAbort);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.set(id, {
        request: request(id),
        resolve(result) {
          settled();
          resolve(result);
        },
        reject(error) {
          settled();
          reject(error);
        },
      });
      this.#next();
    });
  }

  /** One at a time: the others can still leave. */
  #next(): void {
    if (this.#underWay !== undefined) return;
    const [first] = this.#waiting.values();
    // A thread with nothing to do keeps no process alive.
    if (first === undefined) {
      this.#worker?.unref();
      return;
    }
    this.#waiting.delete(first.request.id);
    this.#underWay = first;
    this.#worker ??= this.#start();
    this.#worker.ref();
    this.#worker.postMessage(first.request);
  }

  #start(): Worker {
    // In the bundle the thread's program stands beside the folder of chunks.
    const program = import.meta.url.endsWith('.mjs') ? '../bcrypt-thread.mjs' : './bcrypt-thread.ts';
    const worker = new Worker(new URL(program, import.meta.url));
    worker.on('message', ({ result, error }: BcryptAnswer) => {
      const asked = this.#underWay;
      this.#underWay = undefined;
      if (error === undefined) asked?.resolve(result!);
      else asked?.reject(new Error(error));
      this.#next();
    });
    worker.on('error', (error) => this.#end(error instanceof Error ? error : new Error(String(error))));
    return worker;
  }

  #end(reason: Error): void {
    const worker = this.#worker;
    this.#worker = undefined;
    this.#underWay?.reject(reason);
    this.#underWay = undefined;
    for (const { reject } of [...this.#waiting.values()]) reject(reason);
    this.#waiting.clear();
    void worker?.terminate();
  }
}
