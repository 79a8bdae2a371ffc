/**
 * How the node of this process reaches apiservers in others: over TLS at their one address, each component as the user its certificate names. A connection
 * that ends with its apiserver is made again, to one that lives.
 */
import { createKubeClient, type KubeClient } from '#kube-client/client.ts';
import type { KeyPair } from '#pki/certificate-authority.ts';
import { type Clock, sleep } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import { createFetch } from '#transport/fetch.ts';
import type { HttpHandler } from '#transport/http.ts';
import type { Identity } from '../identities.ts';

export interface NodeClients extends AsyncDisposable {
  /** @throws Error for a user without a certificate here */
  client(identity: Identity): KubeClient;
}

/** @param pairs by user name */
export function nodeClients(
  { server, ca, pairs }: { readonly server: string; readonly ca: string; readonly pairs: ReadonlyMap<string, KeyPair> },
  { clock, prng }: { readonly clock: Clock; readonly prng: Prng },
): NodeClients {
  const scope = new Scope();
  return {
    client({ user }) {
      const pair = pairs.get(user);
      if (pair === undefined) throw new Error(`there is no certificate of ${user}`);
      const fetch = scope.use(createFetch({ address: server, tls: { ca, ...pair }, dialTimeoutMs }));
      return createKubeClient({ fetch: askAgain(fetch, clock), userAgent: `wherry/${user}`, clock, prng });
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

const dialTimeoutMs = 5000;
const attemptsMax = 5;
const pauseMs = 50;

/** What the socket says of a connection that was not taken, or that ended with the other side. */
const cutCodes: ReadonlySet<string | undefined> = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE']);

/** Reads whose connection broke before there was an answer are asked again. A write may have been done: whoever asked decides. */
function askAgain(fetch: HttpHandler, clock: Clock): HttpHandler {
  return async (request) => {
    for (let attempt = 1; ; attempt++)
      try {
        return await fetch(request);
      } catch (error) {
        const cut = request.method === 'GET' && cutCodes.has((error as NodeJS.ErrnoException).code);
        if (request.signal.aborted || attempt >= attemptsMax || !cut) throw error;
        await sleep(clock, pauseMs * attempt, request.signal);
      }
  };
}
