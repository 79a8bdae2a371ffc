/** Who etcdctl is to a cluster: the caller's token in every call. */
import { isEtcdError } from '#api-etcd/errors.ts';
import { Auth } from '#api-etcd/gen/rpc.ts';
import type { CallOptions, Channel } from '#rpc/call.ts';

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
