/**
 * Who a client is to a cluster, and what it does when the cluster's users change meanwhile: calls are made again, with a fresh token where it has a password. What is
 * refused for that reason has not been done, so that writes may be repeated, too. (upstream: clientv3's retry_interceptor.go)
 */
import { isEtcdError } from '#api-etcd/errors.ts';
import { Auth } from '#api-etcd/gen/rpc.ts';
import type { CallOptions, Channel, ClientCall } from '#rpc/call.ts';
import { type Clock, sleep } from '#std/clock.ts';
import type { Method } from '#wire/grpc/service.ts';

export interface User {
  readonly name: string;
  readonly password: string;
}

export interface AuthenticatedOptions {
  readonly clock: Clock;
  /** Left out, the client is whoever its certificate says, or nobody. */
  readonly user?: User;
  /** What the user has been given already. */
  readonly token?: string | undefined;
}

/** Upstream's figures. */
const attemptsMax = 100;
const pauseMs = 25;

/** Answers that come once are asked for again; streams only begin with the token of the moment. */
export class AuthenticatedChannel implements Channel {
  readonly #channel: Channel;
  readonly #options: AuthenticatedOptions;
  #token: string | undefined;
  #refreshing: Promise<void> | undefined;

  /** @param channel stays the caller's */
  constructor(channel: Channel, options: AuthenticatedOptions) {
    this.#channel = channel;
    this.#options = options;
    this.#token = options.token;
  }

  unary<I, O>(method: Method<I, O, 'unary'>, request: I, options: CallOptions = {}): Promise<O> {
    const startMs = this.#options.clock.monotonicMs();
    return this.#channel
      .unary(method, request, this.#added(options))
      .catch((error: unknown) => this.#again(error, startMs, method, request, options));
  }

  open<I, O>(method: Method<I, O>, options: CallOptions = {}): ClientCall<I, O> {
    return this.#channel.open(method, this.#added(options));
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** All attempts and pauses together take no longer than the call may. */
  async #again<I, O>(
    first: unknown,
    startMs: number,
    method: Method<I, O, 'unary'>,
    request: I,
    options: CallOptions,
  ): Promise<O> {
    const { clock } = this.#options;
    const left = (): CallOptions =>
      options.timeoutMs === undefined
        ? options
        : { ...options, timeoutMs: Math.max(1, options.timeoutMs - (clock.monotonicMs() - startMs)) };
    let last = first;
    for (let attempt = 1; attempt < attemptsMax && this.#isAboutUsers(last); attempt++) {
      await this.#refresh(left());
      try {
        return await this.#channel.unary(method, request, this.#added(left()));
      } catch (error) {
        last = error;
      }
      // The one who gave up is told so by the attempt that comes next.
      if (this.#isAboutUsers(last)) await sleep(clock, pauseMs, options.signal).catch(() => {});
    }
    throw last;
  }

  #isAboutUsers(error: unknown): boolean {
    const { user, token } = this.#options;
    // A token alone stays of its revision; a certificate is of the newest.
    if (isEtcdError(error, 'authOldRevision')) return user !== undefined || token === undefined;
    // A token that has run out, or that was never given because there were no users yet.
    return user !== undefined && (isEtcdError(error, 'invalidAuthToken') || isEtcdError(error, 'userEmpty'));
  }

  /** Once for all calls that need it. @throws RpcError */
  #refresh(options: CallOptions): Promise<void> {
    const { user } = this.#options;
    if (user === undefined) return Promise.resolve();
    this.#refreshing ??= authenticate(this.#channel, user, options)
      .then((token) => {
        this.#token = token;
      })
      .finally(() => {
        this.#refreshing = undefined;
      });
    return this.#refreshing;
  }

  #added(options: CallOptions): CallOptions {
    if (this.#token === undefined) return options;
    return { ...options, metadata: [...(options.metadata ?? []), ['token', this.#token]] };
  }
}

/** The token for a name and a password; undefined where nobody asks for one. @throws RpcError */
export async function authenticate(channel: Channel, user: User, options: CallOptions): Promise<string | undefined> {
  try {
    return (await channel.unary(Auth.methods.authenticate, user, options)).token;
  } catch (error) {
    if (isEtcdError(error, 'authNotEnabled')) return undefined;
    throw error;
  }
}
