/**
 * Who is calling: by the token in the call's metadata, else by the common name of a client's certificate where those are asked for, else by
 * what a caller in this process was made as. Nobody is asked while authentication is off. (upstream: AuthInfoFromCtx)
 */
import { etcdError } from '#api-etcd/errors.ts';
import type { CallContext } from '#rpc/call.ts';
import { type Caller, nobody } from './caller.ts';
import type { AuthStore } from './store.ts';
import type { Tokens } from './tokens.ts';

export interface AuthenticatorOptions {
  /** The store of this moment: a member may be given another one. */
  readonly auth: () => AuthStore;
  readonly tokens: Tokens;
  /** `--client-cert-auth`. */
  readonly certificateNames: boolean;
}

export class Authenticator {
  readonly #auth: () => AuthStore;
  readonly #tokens: Tokens;
  readonly #certificateNames: boolean;

  constructor({ auth, tokens, certificateNames }: AuthenticatorOptions) {
    this.#auth = auth;
    this.#tokens = tokens;
    this.#certificateNames = certificateNames;
  }

  /**
   * Nobody when authentication is off, or when the caller does not say who they are: permissions are checked elsewhere.
   * @throws RpcError Unauthenticated for a token that is not known
   */
  callerOf(context: CallContext): Caller {
    return this.#identify(context) ?? nobody;
  }

  /** @throws RpcError also when authentication is on and the caller does not say who they are */
  knownCallerOf(context: CallContext): Caller {
    const caller = this.#identify(context);
    if (caller === undefined && this.#auth().enabled) throw etcdError('userEmpty');
    return caller ?? nobody;
  }

  /** @throws RpcError unless the caller is an administrator, or authentication is off */
  checkAdmin(context: CallContext): Caller {
    const caller = this.callerOf(context);
    this.#auth().checkAdmin(caller);
    return caller;
  }

  /**
   * For what another member passes on: a token is all it says of who asks.
   * @throws RpcError unless it is an administrator's, or authentication is off
   */
  checkAdminToken(token: string | undefined): void {
    const auth = this.#auth();
    if (auth.enabled) auth.checkAdmin(token === undefined ? nobody : this.#callerOfToken(token));
  }

  /** A token may be so new that this member has not heard of it: resolves when it has. Undefined for all others. */
  tokenKnown(context: CallContext): Promise<void> | undefined {
    const token = this.#auth().enabled ? tokenOf(context) : undefined;
    return token === undefined ? undefined : this.#tokens.known(token, context.signal);
  }

  #callerOfToken(token: string): Caller {
    const caller = this.#tokens.callerOf(withoutScheme(token), this.#auth().revision);
    if (caller === undefined) throw etcdError('invalidAuthToken');
    return caller;
  }

  #identify(context: CallContext): Caller | undefined {
    const auth = this.#auth();
    if (!auth.enabled) return undefined;
    const token = tokenOf(context);
    if (token !== undefined) {
      return this.#callerOfToken(token);
    }
    const { certificate, component } = context.peer;
    if (component !== undefined) return { username: component.user, revision: auth.revision };
    // What the gateway calls, it calls for somebody else.
    if (!this.#certificateNames || certificate === undefined || hasMetadata(context, gatewayMark)) return undefined;
    return { username: certificate.commonName, revision: auth.revision };
  }
}

/** The JSON gateway marks its calls with it. */
export const gatewayMark = 'grpcgateway-accept';

/** As the caller sent it, without the word before it; undefined for none. */
export function tokenOf({ metadata }: CallContext): string | undefined {
  let token: string | undefined;
  for (const name of ['token', 'authorization']) {
    token ??= metadata.find(([key, value]) => key === name && typeof value === 'string')?.[1] as string | undefined;
  }
  return token === undefined ? undefined : withoutScheme(token);
}

function withoutScheme(token: string): string {
  return token.replace(/^Bearer /, '');
}

function hasMetadata({ metadata }: CallContext, name: string): boolean {
  return metadata.some(([key]) => key === name);
}
