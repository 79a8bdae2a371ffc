/**
 * Acting as somebody else: who may, names the other in the `Impersonate-` headers and goes on as that user. Every part of the other
 * identity is asked for by itself (`impersonate` on users, groups, service accounts, extras, uids). Source: the impersonation filter of
 * k8s.io/apiserver.
 */
import type { HttpRequest } from '#transport/http.ts';
import type { Authorizer } from '../attributes.ts';
import { forbiddenRequest } from '../authorization/forbidden.ts';
import { plain, type Stage } from '../pipeline.ts';
import type { RequestInfo } from '../request-info.ts';
import {
  anonymousUser,
  authenticatedGroup,
  parseServiceAccountUser,
  serviceAccountsGroup,
  type UserInfo,
  unauthenticatedGroup,
} from '../user.ts';

/** The other identity, as the headers give it. */
interface Requested {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

const authentication = 'authentication.k8s.io';
const prefix = 'impersonate-';
const extraPrefix = 'impersonate-extra-';

export function impersonation(authorize: Authorizer): Stage {
  return {
    name: 'Impersonation',
    run: async (context, next) => {
      const requested = requestedBy(context.request);
      if (requested === undefined) return next(context);
      if (requested.name === '') {
        const text = `requested ${described(requested)} without impersonating a user`;
        return plain(500, `Internal Server Error: ${JSON.stringify(context.request.target)}: ${text}\n`);
      }
      for (const target of targetsOf(requested)) {
        const info: RequestInfo = { ...context.info, ...target, isResourceRequest: true, verb: 'impersonate' };
        const decision = authorize({ user: context.user, info });
        if (!decision.allowed) throw forbiddenRequest({ user: context.user, info }, decision.reason);
      }
      const headers = context.request.headers.filter(([name]) => !name.startsWith(prefix));
      return next({ ...context, request: { ...context.request, headers }, user: userOf(requested) });
    },
  };
}

function requestedBy({ headers }: HttpRequest): Requested | undefined {
  if (!headers.some(([name]) => name.startsWith(prefix))) return undefined;
  const values = (name: string) => headers.filter(([key]) => key === name).map(([, value]) => value);
  const extras = new Map<string, string[]>();
  for (const [name, value] of headers) {
    if (!name.startsWith(extraPrefix)) continue;
    const key = unescaped(name.slice(extraPrefix.length));
    extras.set(key, [...(extras.get(key) ?? []), value]);
  }
  const requested = {
    name: values('impersonate-user')[0] ?? '',
    uid: values('impersonate-uid')[0] ?? '',
    groups: values('impersonate-group'),
    extra: Object.fromEntries(extras),
  };
  const empty = requested.name === '' && requested.uid === '' && requested.groups.length === 0 && extras.size === 0;
  return empty ? undefined : requested;
}

/** Keys of extras are escaped as in paths; one that is not escaped rightly is taken as it is. */
function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

type Target = Pick<RequestInfo, 'apiGroup' | 'apiVersion' | 'namespace' | 'resource' | 'subresource' | 'name'>;

function targetsOf({ name, uid, groups, extra }: Requested): Target[] {
  const base = { apiGroup: '', apiVersion: 'v1', namespace: '', subresource: '' };
  const account = parseServiceAccountUser(name);
  return [
    account === undefined
      ? { ...base, resource: 'users', name }
      : { ...base, resource: 'serviceaccounts', namespace: account.namespace, name: account.name },
    ...groups.map((group) => ({ ...base, resource: 'groups', name: group })),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.map((value) => ({
        ...base,
        apiGroup: authentication,
        resource: 'userextras',
        subresource: key,
        name: value,
      })),
    ),
    ...(uid === '' ? [] : [{ ...base, apiGroup: authentication, resource: 'uids', name: uid }]),
  ];
}

function userOf({ name, uid, groups, extra }: Requested): UserInfo {
  const account = parseServiceAccountUser(name);
  const given =
    groups.length === 0 && account !== undefined
      ? [serviceAccountsGroup, `${serviceAccountsGroup}:${account.namespace}`]
      : groups;
  const standing = name === anonymousUser ? unauthenticatedGroup : authenticatedGroup;
  const told = given.includes(authenticatedGroup) || given.includes(unauthenticatedGroup);
  return {
    name,
    groups: told ? given : [...given, standing],
    ...(uid !== '' && { uid }),
    ...(Object.keys(extra).length > 0 && { extra }),
  };
}

function described({ uid, groups, extra }: Requested): string {
  const parts = [
    ...groups.map((group) => `{Group ${group}}`),
    ...Object.entries(extra).map(([key, values]) => `{UserExtra ${values.join(',')} ${key}}`),
    ...(uid === '' ? [] : [`{UID ${uid}}`]),
  ];
  return `[${parts.join(' ')}]`;
}
