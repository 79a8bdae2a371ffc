/** The users that the cluster's own components are, with their groups: each goes through authorization as itself. */
import { createKubeClient, type KubeClient } from '#kube-client/client.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import type { HttpHandler } from '#transport/http.ts';

export interface Identity {
  readonly user: string;
  readonly groups: readonly string[];
}

const authenticated = 'system:authenticated';

/** Groups follow from the name, as they would from a certificate or a token. */
export function identityOf(user: string): Identity {
  if (user.startsWith('system:serviceaccount:')) {
    const namespace = user.split(':')[2]!;
    return { user, groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, authenticated] };
  }
  if (user.startsWith('system:node:')) return { user, groups: ['system:nodes', authenticated] };
  return { user, groups: [authenticated] };
}

export const administrator: Identity = { user: 'kubernetes-admin', groups: ['system:masters', authenticated] };

/** Clients that reach a server in this process, by user. */
export function clientFactory(
  fetch: HttpHandler,
  deps: { readonly clock: Clock; readonly prng: Prng },
): (identity: Identity) => KubeClient {
  return (component) => createKubeClient({ fetch, component, userAgent: `wherry/${component.user}`, ...deps });
}
