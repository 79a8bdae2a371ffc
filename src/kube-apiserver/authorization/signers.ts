/**
 * Who may approve and sign for a signer: the made-up resource `signers`, by the signer's name or for all of its domain (`example.com/*`).
 * Source: pkg/certauthorization.
 */
import type { Authorizer } from '../attributes.ts';
import type { UserInfo } from '../user.ts';

/** @param signer `kubernetes.io/kubelet-serving` */
export function maySignFor(authorize: Authorizer, user: UserInfo, verb: 'approve' | 'sign', signer: string): boolean {
  const [domain = ''] = signer.split('/');
  return [signer, `${domain}/*`].some((name) => authorize({ user, info: asking(verb, name) }).allowed);
}

function asking(verb: string, name: string) {
  return {
    isResourceRequest: true,
    path: '',
    verb,
    apiPrefix: 'apis',
    apiGroup: 'certificates.k8s.io',
    apiVersion: '*',
    namespace: '',
    resource: 'signers',
    subresource: '',
    name,
    parts: [],
    query: new URLSearchParams(),
  };
}
