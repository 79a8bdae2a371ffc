/** Reviews: questions that are posted like objects and answered at once. Source: the authentication and authorization API groups. */
import { badRequestError, StatusError } from '#kube-machinery/status.ts';
import type { AuthorizationAttributes, Authorizer } from '../attributes.ts';
import { nodeNameOf } from '../authorization/node.ts';
import type { Rbac } from '../authorization/rbac.ts';
import type { KubeObject } from '../object.ts';
import { readObject } from '../rest/body.ts';
import type { SubresourceVerbs } from '../rest/dispatch.ts';
import { writeOptionsOf } from '../rest/options.ts';
import { type RestScope, respondValue } from '../rest/scope.ts';
import { authenticatedGroup, type UserInfo } from '../user.ts';

interface SelectorAttributes {
  readonly rawSelector?: string;
  readonly requirements?: readonly {
    readonly key?: string;
    readonly operator?: string;
    readonly values?: readonly string[];
  }[];
}

interface AccessSpec {
  readonly resourceAttributes?: {
    readonly namespace?: string;
    readonly verb?: string;
    readonly group?: string;
    readonly version?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly name?: string;
    readonly fieldSelector?: SelectorAttributes;
  };
  readonly nonResourceAttributes?: { readonly path?: string; readonly verb?: string };
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly uid?: string;
}

export function reviewVerbs(deps: {
  readonly authorize: Authorizer;
  readonly grantsFor: Rbac['grantsFor'];
  readonly audiences: readonly string[];
  readonly verifyToken: (token: string, audiences?: readonly string[]) => Promise<UserInfo | undefined>;
}): Readonly<Record<string, SubresourceVerbs>> {
  const access =
    (self: boolean): SubresourceVerbs['create'] =>
    async (scope) => {
      const review = await reviewOf(scope);
      const spec = (review['spec'] ?? {}) as AccessSpec;
      const local = scope.info.resource === 'localsubjectaccessreviews';
      if (local && spec.resourceAttributes?.namespace !== scope.info.namespace)
        throw badRequestError('spec.resourceAttributes.namespace must match namespace');
      const { user, groups = [], uid } = spec;
      if (!self && !user && groups.length === 0)
        throw badRequestError('at least one of user or group must be specified');
      const who: UserInfo = self ? scope.user : { name: user ?? '', groups, ...(uid && { uid }) };
      const decision = deps.authorize(attributesOf(scope, spec, who));
      return respondValue(scope, 201, {
        ...review,
        status: { allowed: decision.allowed, ...(decision.reason !== '' && { reason: decision.reason }) },
      });
    };
  return {
    'selfsubjectaccessreviews.authorization.k8s.io': { create: access(true)! },
    'subjectaccessreviews.authorization.k8s.io': { create: access(false)! },
    'localsubjectaccessreviews.authorization.k8s.io': { create: access(false)! },
    'selfsubjectrulesreviews.authorization.k8s.io': {
      async create(scope) {
        const review = await reviewOf(scope);
        const { namespace = '' } = (review['spec'] ?? {}) as { readonly namespace?: string };
        if (namespace === '') throw badRequestError('no namespace on request');
        const isNode = nodeNameOf(scope.user) !== undefined;
        const resourceRules: object[] = [];
        const nonResourceRules: object[] = [];
        for (const { rule } of deps.grantsFor(scope.user, namespace)) {
          const { verbs, apiGroups = [], resources = [], resourceNames, nonResourceURLs = [] } = rule;
          if (resources.length > 0)
            resourceRules.push({ verbs, apiGroups, resources, ...(resourceNames && { resourceNames }) });
          if (nonResourceURLs.length > 0) nonResourceRules.push({ verbs, nonResourceURLs });
        }
        return respondValue(scope, 201, {
          ...review,
          status: {
            resourceRules,
            nonResourceRules,
            incomplete: isNode,
            ...(isNode && { evaluationError: 'node authorizer does not support user rule resolution' }),
          },
        });
      },
    },
    'selfsubjectreviews.authentication.k8s.io': {
      async create(scope) {
        const review = await reviewOf(scope);
        return respondValue(scope, 201, { ...review, status: { userInfo: userInfoOf(scope.user) } });
      },
    },
    'tokenreviews.authentication.k8s.io': {
      async create(scope) {
        const review = await reviewOf(scope);
        const { token = '', audiences } = (review['spec'] ?? {}) as {
          readonly token?: string;
          readonly audiences?: readonly string[];
        };
        if (token === '') throw badRequestError('token is required for TokenReview in authentication');
        return respondValue(scope, 201, { ...review, status: await reviewToken(deps, token, audiences) });
      },
    },
  };
}

/** Nothing is stored of a review; its options are those of any creation. @throws StatusError */
function reviewOf(scope: RestScope): Promise<KubeObject> {
  writeOptionsOf(scope.info.query, 'CreateOptions');
  return readObject(scope);
}

function attributesOf(scope: RestScope, spec: AccessSpec, user: UserInfo): AuthorizationAttributes {
  const { resourceAttributes: resource, nonResourceAttributes: path } = spec;
  if ((resource === undefined) === (path === undefined))
    throw badRequestError('exactly one of nonResourceAttributes or resourceAttributes must be specified');
  return {
    user,
    info: {
      ...scope.info,
      isResourceRequest: resource !== undefined,
      path: path?.path ?? '',
      verb: resource?.verb ?? path?.verb ?? '',
      apiGroup: resource?.group ?? '',
      apiVersion: resource?.version ?? '',
      namespace: resource?.namespace ?? '',
      resource: resource?.resource ?? '',
      subresource: resource?.subresource ?? '',
      name: resource?.name ?? '',
      query: new URLSearchParams({ fieldSelector: fieldSelectorText(resource?.fieldSelector) }),
    },
  };
}

/** As a query would say it: field selectors know equality only, and what else a requirement asks for narrows nothing. */
function fieldSelectorText({ rawSelector = '', requirements = [] }: SelectorAttributes = {}): string {
  if (rawSelector !== '') return rawSelector;
  return requirements
    .filter(({ operator, values = [] }) => operator === 'In' && values.length === 1)
    .map(({ key = '', values }) => `${key}=${values![0]!.replace(/[\\,=]/g, '\\$&')}`)
    .join(',');
}

async function reviewToken(
  deps: {
    readonly audiences: readonly string[];
    readonly verifyToken: (token: string, audiences?: readonly string[]) => Promise<UserInfo | undefined>;
  },
  token: string,
  audiences: readonly string[] | undefined,
): Promise<object> {
  const wanted = audiences?.length ? audiences : deps.audiences;
  try {
    const user = await deps.verifyToken(token, wanted);
    if (user === undefined) return { user: {} };
    const groups = user.groups.includes(authenticatedGroup) ? user.groups : [...user.groups, authenticatedGroup];
    return { authenticated: true, user: userInfoOf({ ...user, groups }), audiences: wanted };
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return { user: {}, error: error.message };
  }
}

function userInfoOf({ name, uid, groups, extra }: UserInfo): object {
  return { username: name, ...(uid && { uid }), groups, ...(extra && { extra }) };
}
