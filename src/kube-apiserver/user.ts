/**
 * Who asks, once authentication has spoken: what authorization, admission, audit and `SelfSubjectReview` see. Knows nothing of
 * how the identity was proved. Source: user.Info of k8s.io/apiserver.
 */
export interface UserInfo {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export const anonymousUser = 'system:anonymous';
export const unauthenticatedGroup = 'system:unauthenticated';
export const authenticatedGroup = 'system:authenticated';
/** Members may do everything; authorization asks nobody. */
export const mastersGroup = 'system:masters';
export const serviceAccountsGroup = 'system:serviceaccounts';
export const serviceAccountPrefix = 'system:serviceaccount:';

export function serviceAccountUser(namespace: string, name: string): string {
  return `${serviceAccountPrefix}${namespace}:${name}`;
}

/** The namespace and name in a service account's user name. */
export function parseServiceAccountUser(
  user: string,
): { readonly namespace: string; readonly name: string } | undefined {
  if (!user.startsWith(serviceAccountPrefix)) return undefined;
  const [namespace, name, ...rest] = user.slice(serviceAccountPrefix.length).split(':');
  return namespace && name && rest.length === 0 ? { namespace, name } : undefined;
}
