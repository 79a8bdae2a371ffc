/**
 * How etcdctl reaches a cluster: the endpoints in turn until one answers, with the caller's token in every call. The one that answered is asked
 * first from then on.
 */
import { isEtcdError } from '#api-etcd/errors.ts';
import { Auth } from '#api-etcd/gen/rpc.ts';
import type { CallOptions, Channel, ClientCall } from '#rpc/call.ts';
import type { Method } from '#wire/grpc/service.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';

/** @param channels one for each endpoint, at least one; theirs to dispose is whoever made them */
export function firstThatAnswers(channels: readonly Channel[]): Channel {
  let current = 0;
  return {
    async unary<I, O>(method: Method<I, O, 'unary'>, request: I, options?: CallOptions): Promise<O> {
      for (let tried = 1; ; tried++) {
        try {
          return await channels[current]!.unary(method, request, options);
        } catch (error) {
          if (!isUnreachable(error) || tried >= channels.length) throw error;
          current = (current + 1) % channels.length;
        }
      }
    },
    open: <I, O>(method: Method<I, O>, options?: CallOptions): ClientCall<I, O> =>
      channels[current]!.open(method, options),
    async [Symbol.asyncDispose]() {},
  };
}

/** Nobody was there to take the request: asking somebody else does nothing twice. */
function isUnreachable(error: unknown): boolean {
  return error instanceof RpcError && error.code === Code.Unavailable && !error.message.startsWith('etcdserver:');
}

/** Every call carries the token. */
export function withToken(channel: Channel, token: string): Channel {
  const added = (options: CallOptions | undefined): CallOptions => ({
    ...options,
    metadata: [...(options?.metadata ?? []), ['token', token]],
  });
  return {
    unary: (method, request, options) => channel.unary(method, request, added(options)),
    open: (method, options) => channel.open(method, added(options)),
    async [Symbol.asyncDispose]() {},
  };
}

/** The token for a name and a password; undefined where nobody asks for one. @throws RpcError */
export async function authenticate(
  channel: Channel,
  user: { readonly name: string; readonly password: string },
  options: CallOptions,
): Promise<string | undefined> {
  try {
    return (await channel.unary(Auth.methods.authenticate, user, options)).token;
  } catch (error) {
    if (isEtcdError(error, 'authNotEnabled')) return undefined;
    throw error;
  }
}
