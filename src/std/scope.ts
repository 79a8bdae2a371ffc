/**
 * A scope owns what was acquired in it and lets go of it in reverse order, once, whatever fails on the way.
 * It is the one way a component keeps its timers, sockets, children and mounts: what is acquired is added where
 * it is made. Its `signal` aborts when closing starts, so that loops inside it end by themselves.
 */
export class Scope implements AsyncDisposable {
  readonly #controller = new AbortController();
  readonly #owned: (() => void | Promise<void>)[] = [];
  #closing: Promise<void> | undefined;

  /** Aborts when the scope starts to close. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** Takes ownership of a disposable and returns it. A closed scope refuses: the caller must not acquire any more. */
  use<T extends Disposable | AsyncDisposable>(resource: T): T {
    this.defer(() =>
      Symbol.asyncDispose in resource ? (resource[Symbol.asyncDispose]() as Promise<void>) : resource[Symbol.dispose](),
    );
    return resource;
  }

  /** Runs `release` when the scope closes; the latest runs first. */
  defer(release: () => void | Promise<void>): void {
    if (this.#closing !== undefined) throw new Error('scope is closed');
    this.#owned.push(release);
  }

  /** Follows a background task: closing waits for it. Its rejection goes to `onError` unless the scope is closing. */
  run(task: (signal: AbortSignal) => Promise<void>, onError: (error: unknown) => void): void {
    const done = task(this.signal).catch((error: unknown) => {
      if (!this.signal.aborted) onError(error);
    });
    this.defer(() => done);
  }

  /** Closes once; further calls wait for the same closing. Several failures become one AggregateError. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#controller.abort(new Error('scope is closed'));
    const errors: unknown[] = [];
    for (let release = this.#owned.pop(); release !== undefined; release = this.#owned.pop()) {
      try {
        await release();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, 'several resources failed to close');
  }
}

/**
 * Starts what lives in a scope of its own: `start` adds to it what it acquires, and whatever it returns is to close it. When it fails, what it
 * had acquired is let go of first; what fails in that goes to `log`, and the first failure on to the caller.
 */
export async function startInScope<T>(
  start: (scope: Scope) => Promise<T>,
  log: (message: string, error: unknown) => void,
): Promise<T> {
  const scope = new Scope();
  try {
    return await start(scope);
  } catch (error) {
    await scope[Symbol.asyncDispose]().catch((failure: unknown) => log('closing what had been started', failure));
    throw error;
  }
}
