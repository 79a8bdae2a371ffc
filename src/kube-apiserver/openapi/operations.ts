/**
 * The operations of a resource as OpenAPI sees them: paths, methods, ids, parameters, what goes in and out. Both versions of the
 * document are written from these records; neither is known here. Source: installer.go of k8s.io/apiserver.
 */
import type { GroupVersionKind, Resource, Subresource } from '#api-kube/resource.ts';

export type Method = 'get' | 'put' | 'post' | 'delete' | 'options' | 'head' | 'patch';

/** A query parameter. */
export interface Parameter {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean';
}

/** What travels: an object of a kind, a list of it, or one of the shared types. */
export type Payload =
  | { readonly of: 'kind' | 'list'; readonly gvk: GroupVersionKind }
  | { readonly of: 'Status' | 'DeleteOptions' | 'Patch' | 'string' };

export interface Operation {
  readonly method: Method;
  readonly id: string;
  /** `x-kubernetes-action`. */
  readonly action: string;
  readonly description: string;
  readonly gvk: GroupVersionKind;
  readonly parameters: readonly Parameter[];
  readonly body?: { readonly payload: Payload; readonly required: boolean };
  readonly response: Payload;
  readonly codes: readonly number[];
}

export interface PathOperations {
  readonly path: string;
  /** Names of the path's own parameters, in upstream's order. */
  readonly pathParameters: readonly ('name' | 'namespace' | 'path')[];
  readonly kind: string;
  readonly operations: readonly Operation[];
}

const text = (name: string): Parameter => ({ name, type: 'string' });
const flag = (name: string): Parameter => ({ name, type: 'boolean' });
const count = (name: string): Parameter => ({ name, type: 'integer' });

const listParameters = [
  flag('allowWatchBookmarks'),
  text('continue'),
  text('fieldSelector'),
  text('labelSelector'),
  count('limit'),
  text('resourceVersion'),
  text('resourceVersionMatch'),
  flag('sendInitialEvents'),
  count('timeoutSeconds'),
  flag('watch'),
];
const writeParameters = [text('dryRun'), text('fieldManager'), text('fieldValidation')];
const patchParameters = [...writeParameters, flag('force')];
const deleteParameters = [
  text('dryRun'),
  count('gracePeriodSeconds'),
  flag('ignoreStoreReadErrorWithClusterBreakingPotential'),
  flag('orphanDependents'),
  text('propagationPolicy'),
];
const logParameters = [
  text('container'),
  flag('follow'),
  flag('insecureSkipTLSVerifyBackend'),
  count('limitBytes'),
  flag('previous'),
  count('sinceSeconds'),
  text('stream'),
  count('tailLines'),
  flag('timestamps'),
];
const streamFlags = [flag('stderr'), flag('stdin'), flag('stdout'), flag('tty')];
/** What is connected to, by the kind of its options. */
const connectParameters: Readonly<Record<string, readonly Parameter[]>> = {
  PodAttachOptions: [text('container'), ...streamFlags],
  PodExecOptions: [text('command'), text('container'), ...streamFlags],
  PodPortForwardOptions: [count('ports')],
};
const proxyMethods: readonly Method[] = ['delete', 'get', 'head', 'options', 'patch', 'post', 'put'];

/** `rbac.authorization.k8s.io` and `v1` → `RbacAuthorizationV1`; the core group is `Core`. */
function idPart(group: string, version: string): string {
  const name = group === '' ? 'core' : group.replace(/\.k8s\.io$/, '');
  return [...name.split('.'), version].map(capital).join('');
}

/** Tag of a group's operations: `rbacAuthorization_v1`. */
export function tagOf({ group, version }: { readonly group: string; readonly version: string }): string {
  const part = idPart(group, '');
  return `${part.slice(0, 1).toLowerCase()}${part.slice(1)}_${version}`;
}

const capital = (word: string) => word.slice(0, 1).toUpperCase() + word.slice(1);

/** `/api/v1`, `/apis/apps/v1`. */
export function prefixOf({ group, version }: { readonly group: string; readonly version: string }): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}

export function pathsOf(resource: Resource): PathOperations[] {
  const { group, version, kind, namespaced } = resource;
  const gvk = { group, version, kind };
  const part = idPart(group, version);
  const scoped = `${part}${namespaced ? 'Namespaced' : ''}`;
  const place = namespaced ? `${prefixOf(resource)}/namespaces/{namespace}` : prefixOf(resource);
  const collection = `${place}/${resource.resource}`;
  const has = (verb: string) => resource.verbs.includes(verb);
  const namespaceParameter = namespaced ? (['namespace'] as const) : [];
  const object: Payload = { of: 'kind', gvk };
  const body = { payload: object, required: true };
  const list = (id: string): Operation => ({
    method: 'get',
    id,
    action: 'list',
    description: has('watch') ? `list or watch objects of kind ${kind}` : `list objects of kind ${kind}`,
    gvk,
    parameters: listParameters,
    response: { of: 'list', gvk },
    codes: [200],
  });
  const paths: PathOperations[] = [];
  const add = (path: string, pathParameters: PathOperations['pathParameters'], operations: Operation[]) => {
    if (operations.length > 0) paths.push({ path, pathParameters, kind, operations });
  };

  const onCollection: Operation[] = [];
  if (has('list')) onCollection.push(list(`list${scoped}${kind}`));
  if (has('create'))
    onCollection.push({
      method: 'post',
      id: `create${scoped}${kind}`,
      action: 'post',
      description: `create ${article(kind)}${kind}`,
      gvk,
      parameters: writeParameters,
      body,
      response: object,
      codes: [200, 201, 202],
    });
  if (has('deletecollection'))
    onCollection.push({
      method: 'delete',
      id: `delete${part}Collection${namespaced ? 'Namespaced' : ''}${kind}`,
      action: 'deletecollection',
      description: `delete collection of ${kind}`,
      gvk,
      parameters: [
        ...listParameters.filter(({ name }) => name !== 'watch' && name !== 'allowWatchBookmarks'),
        ...deleteParameters,
      ],
      body: { payload: { of: 'DeleteOptions' }, required: false },
      response: { of: 'Status' },
      codes: [200],
    });
  add(collection, namespaceParameter, onCollection);
  if (namespaced && has('list'))
    add(`${prefixOf(resource)}/${resource.resource}`, [], [list(`list${part}${kind}ForAllNamespaces`)]);

  const one = `${collection}/{name}`;
  const own = ['name', ...namespaceParameter] as const;
  add(one, own, objectOperations({ suffix: `${scoped}${kind}`, what: kind, gvk, verbs: resource.verbs }));
  for (const sub of resource.subresources) {
    const target = {
      group: sub.group ?? group,
      version: sub.version ?? version,
      kind: sub.kind,
    };
    const suffix = `${scoped}${kind}${capital(sub.name)}`;
    const what = `${sub.name} of the specified ${kind}`;
    if (sub.kind.endsWith('Options')) {
      for (const path of sub.name === 'proxy' ? ['', '/{path}'] : [''])
        add(
          `${one}/${sub.name}${path}`,
          path === '' ? own : [...own, 'path'],
          connects(resource, suffix, sub, target, path),
        );
    } else if (sub.name === 'log')
      add(`${one}/log`, own, [
        {
          ...objectOperations({ suffix, what, gvk: target, verbs: ['get'], sub: true })[0]!,
          parameters: logParameters,
          response: { of: 'string' },
        },
      ]);
    else add(`${one}/${sub.name}`, own, objectOperations({ suffix, what, gvk: target, verbs: sub.verbs, sub: true }));
  }
  return paths;
}

/** get, put, patch, delete of one object, or of a subresource, which is created there as well. */
function objectOperations({
  suffix,
  what,
  gvk,
  verbs,
  sub = false,
}: {
  readonly suffix: string;
  readonly what: string;
  readonly gvk: GroupVersionKind;
  readonly verbs: readonly string[];
  readonly sub?: boolean;
}): Operation[] {
  const object: Payload = { of: 'kind', gvk };
  const operations: Operation[] = [];
  const described = sub ? what : `the specified ${what}`;
  if (verbs.includes('get'))
    operations.push({
      method: 'get',
      id: `read${suffix}`,
      action: 'get',
      description: `read ${described}`,
      gvk,
      parameters: [],
      response: object,
      codes: [200],
    });
  if (verbs.includes('update'))
    operations.push({
      method: 'put',
      id: `replace${suffix}`,
      action: 'put',
      description: `replace ${described}`,
      gvk,
      parameters: writeParameters,
      body: { payload: object, required: true },
      response: object,
      codes: [200, 201],
    });
  if (sub && verbs.includes('create'))
    operations.push({
      method: 'post',
      id: `create${suffix}`,
      action: 'post',
      description: `create ${described.replace('the specified ', 'a ')}`,
      gvk,
      parameters: writeParameters,
      body: { payload: object, required: true },
      response: object,
      codes: [200, 201, 202],
    });
  if (verbs.includes('delete'))
    operations.push({
      method: 'delete',
      id: `delete${suffix}`,
      action: 'delete',
      description: `delete ${article(gvk.kind)}${gvk.kind}`,
      gvk,
      parameters: deleteParameters,
      body: { payload: { of: 'DeleteOptions' }, required: false },
      response: { of: 'Status' },
      codes: [200, 202],
    });
  if (verbs.includes('patch'))
    operations.push({
      method: 'patch',
      id: `patch${suffix}`,
      action: 'patch',
      description: `partially update ${described}`,
      gvk,
      parameters: patchParameters,
      body: { payload: { of: 'Patch' }, required: true },
      response: object,
      codes: [200, 201],
    });
  return operations;
}

function connects(
  { group, version, kind }: Resource,
  suffix: string,
  sub: Subresource,
  gvk: GroupVersionKind,
  path: string,
): Operation[] {
  const part = idPart(group, version);
  const methods: readonly Method[] = sub.name === 'proxy' ? proxyMethods : ['get', 'post'];
  const own = connectParameters[sub.kind] ?? [text('path')];
  return methods.map((method) => ({
    method,
    id: `connect${part}${capital(method)}${suffix.slice(part.length)}${path === '' ? '' : 'WithPath'}`,
    action: 'connect',
    description: `connect ${method.toUpperCase()} requests to ${sub.name} of ${kind}`,
    gvk,
    parameters: own,
    response: { of: 'string' },
    codes: [200],
  }));
}

/** `a Pod `, `an Ingress `; none for what is a plural already. */
const article = (kind: string) => (kind.endsWith('points') ? '' : /^[AEIOU]/.test(kind) ? 'an ' : 'a ');
