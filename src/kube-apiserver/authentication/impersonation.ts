/**
 * Acting as somebody else: the `Impersonate-*` headers, each name in them a right of its own (verb `impersonate`). From here on the request is the other user's.
 * Stands between Authentication and Authorization. Source: WithImpersonation of k8s.io/apiserver; the narrower verbs of KEP-5284 are not built.
 */
import type { HttpResponse } from '#transport/http.ts';
import type { Authorizer } from '../attributes.ts';
import { forbiddenRequest } from '../authorization/forbidden.ts';
import { plain, type RequestContext, type Stage } from '../pipeline.ts';
import type { RequestInfo } from '../request-info.ts';
import {
  anonymousUser,
  authenticatedGroup,
  parseServiceAccountUser,
  serviceAccountsGroup,
  type UserInfo,
  unauthenticatedGroup,
} from '../user.ts';

const prefix = 'impersonate-';
const extraPrefix = 'impersonate-extra-';

/** What the headers ask for, in the order in which it is authorized. */
interface Asked {
  readonly user: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

export function impersonation(authorize: Authorizer): Stage {
  return {
    name: 'Impersonation',
    async run(context, next): Promise<HttpResponse> {
      const { request } = context;
      const asked = askedOf(request.headers);
      if (asked === undefined) return next(context);
      if (asked.user === '')
        return plain(
          500,
          `Internal Server Error: ${JSON.stringify(request.target)}: requested ${references(asked)} without impersonating a user\n`,
        );
      for (const target of targetsOf(asked)) {
        const attributes = { user: context.user, info: infoOf(context, target) };
        const decision = authorize(attributes);
        if (!decision.allowed) throw forbiddenRequest(attributes, decision.reason);
      }
      // What stands behind this server shall not read them again.
      const headers = request.headers.filter(([name]) => !name.toLowerCase().startsWith(prefix));
      return next({ ...context, request: { ...request, headers }, user: userOf(asked) });
    },
  };
}

function askedOf(headers: readonly (readonly [string, string])[]): Asked | undefined {
  let user = '';
  let uid = '';
  const groups: string[] = [];
  const extra = new Map<string, string[]>();
  for (const [given, value] of headers) {
    const name = given.toLowerCase();
    if (name === 'impersonate-user') user ||= value;
    else if (name === 'impersonate-uid') uid ||= value;
    else if (name === 'impersonate-group') groups.push(value);
    else if (name.startsWith(extraPrefix)) {
      const key = unescaped(name.slice(extraPrefix.length));
      extra.set(key, [...(extra.get(key) ?? []), value]);
    }
  }
  if (user === '' && uid === '' && groups.length === 0 && extra.size === 0) return undefined;
  return { user, uid, groups, extra: Object.fromEntries(extra) };
}

/** Keys travel percent-encoded; what is not valid stays as it is. */
function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

type Target = Pick<RequestInfo, 'apiGroup' | 'namespace' | 'resource' | 'subresource' | 'name'>;

function* targetsOf({ user, uid, groups, extra }: Asked): Iterable<Target> {
  const none = { apiGroup: '', namespace: '', subresource: '' };
  const account = parseServiceAccountUser(user);
  if (account === undefined) yield { ...none, resource: 'users', name: user };
  else yield { ...none, resource: 'serviceaccounts', ...account };
  for (const name of groups) yield { ...none, resource: 'groups', name };
  const own = { ...none, apiGroup: 'authentication.k8s.io' };
  for (const [subresource, values] of Object.entries(extra))
    for (const name of values) yield { ...own, resource: 'userextras', subresource, name };
  if (uid !== '') yield { ...own, resource: 'uids', name: uid };
}

function infoOf({ info }: RequestContext, target: Target): RequestInfo {
  return { ...info, isResourceRequest: true, verb: 'impersonate', apiVersion: 'v1', parts: [], ...target };
}

function userOf({ user, uid, groups: asked, extra }: Asked): UserInfo {
  const groups = [...asked];
  const account = parseServiceAccountUser(user);
  // A service account's groups are known, unless others are asked for.
  if (account !== undefined && asked.length === 0)
    groups.push(serviceAccountsGroup, `${serviceAccountsGroup}:${account.namespace}`);
  if (user === anonymousUser) {
    if (!groups.includes(unauthenticatedGroup)) groups.push(unauthenticatedGroup);
  } else if (!groups.includes(authenticatedGroup) && !groups.includes(unauthenticatedGroup))
    groups.push(authenticatedGroup);
  return { name: user, ...(uid !== '' && { uid }), groups, ...(Object.keys(extra).length > 0 && { extra }) };
}

/** The references that upstream prints: kind, namespace, name, uid, version, revision, field path. */
function references({ uid, groups, extra }: Asked): string {
  const version = 'authentication.k8s.io/v1';
  const list = [
    ...groups.map((name) => `{Group  ${name}    }`),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.map((value) => `{UserExtra  ${value}  ${version}  ${key}}`),
    ),
    ...(uid === '' ? [] : [`{UID  ${uid}  ${version}  }`]),
  ];
  return `[${list.join(' ')}]`;
}
