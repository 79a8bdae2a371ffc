/**
 * Who sent a request: a component of this process, the holder of a client certificate or of a token, or nobody. Asked in this order;
 * credentials that are presented and wrong end the request. Source: k8s.io/apiserver authentication/request.
 */
import { unauthorizedError } from '#kube-machinery/status.ts';
import { type HttpRequest, header } from '#transport/http.ts';
import type { Authenticator } from '../attributes.ts';
import { anonymousUser, authenticatedGroup, type UserInfo, unauthenticatedGroup } from '../user.ts';

/** Callers in memory, authenticated by construction. */
export const component: Authenticator = ({ peer }) =>
  peer.component && { name: peer.component.user, groups: peer.component.groups };

/** The certificate's common name is the user, its organisations are the groups. */
export const clientCertificate: Authenticator = ({ peer }) => {
  const { certificate } = peer;
  if (certificate === undefined || certificate.commonName === '') return undefined;
  return {
    name: certificate.commonName,
    groups: certificate.organizations,
    ...(certificate.uid !== undefined && { uid: certificate.uid }),
  };
};

/** @param verify the token's user; undefined for a token that is not ours. Throws when it is ours and wrong. */
export function bearerToken(verify: (token: string) => Promise<UserInfo | undefined>): Authenticator {
  return (request) => {
    const token = tokenOf(request);
    return token === undefined ? undefined : verify(token);
  };
}

const webSocketTokenPrefix = 'base64url.bearer.authorization.k8s.io.';

function tokenOf(request: HttpRequest): string | undefined {
  const authorization = header(request.headers, 'authorization');
  const match = /^bearer +(\S+)$/i.exec(authorization ?? '');
  if (match !== null) return match[1];
  // Browsers cannot set headers on WebSockets; the token travels as a subprotocol.
  const protocols = header(request.headers, 'sec-websocket-protocol');
  if (protocols === undefined) return undefined;
  for (const protocol of protocols.split(',')) {
    const name = protocol.trim();
    if (name.startsWith(webSocketTokenPrefix))
      return Buffer.from(name.slice(webSocketTokenPrefix.length), 'base64url').toString('utf8');
  }
  return undefined;
}

export function createAuthentication(
  authenticators: readonly Authenticator[],
  allowAnonymous: boolean,
): (request: HttpRequest) => Promise<UserInfo> {
  return async (request) => {
    for (const authenticate of authenticators) {
      const asked = authenticate(request);
      // Most answer at once.
      const user = asked instanceof Promise ? await asked : asked;
      if (user === undefined) continue;
      return user.groups.includes(authenticatedGroup) || user.name === anonymousUser
        ? user
        : { ...user, groups: [...user.groups, authenticatedGroup] };
    }
    if (tokenOf(request) !== undefined || !allowAnonymous) throw unauthorizedError();
    return { name: anonymousUser, groups: [unauthenticatedGroup] };
  };
}
