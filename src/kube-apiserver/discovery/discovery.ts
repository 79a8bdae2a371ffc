/**
 * What the server serves, told in both forms: one aggregated document, and the older ones for each group and version. Made from the
 * registry when asked and kept until it changes. Source: k8s.io/apiserver endpoints/discovery and KEP-3352.
 */
import { createHash } from 'node:crypto';
import { apiVersionOf, type Resource } from '#api-kube/resource.ts';
import { type HttpResponse, header } from '#transport/http.ts';
import type { RequestContext } from '../pipeline.ts';
import type { ResourceRegistry } from '../registry.ts';
import { isPretty } from '../rest/scope.ts';
import { negotiate } from '../serialize/media.ts';
import { encodeValue } from '../serialize/representation.ts';

export interface Discovery {
  /** Answers the paths of discovery; undefined for others. */
  answer(context: RequestContext): HttpResponse | undefined;
}

/** Order of groups, as upstream's priorities make it; others follow by name. */
const groupOrder = [
  '',
  'apiregistration.k8s.io',
  'apps',
  'events.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'batch',
  'certificates.k8s.io',
  'networking.k8s.io',
  'policy',
  'rbac.authorization.k8s.io',
  'storage.k8s.io',
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'scheduling.k8s.io',
  'coordination.k8s.io',
  'node.k8s.io',
  'discovery.k8s.io',
  'resource.k8s.io',
  'flowcontrol.apiserver.k8s.io',
];

interface Group {
  readonly name: string;
  /** Newest first. */
  readonly versions: readonly { readonly version: string; readonly resources: readonly Resource[] }[];
}

export function createDiscovery(registry: ResourceRegistry, serverAddress: () => string): Discovery {
  let generation = -1;
  let groups: readonly Group[] = [];
  let documents = new Map<string, Aggregated>();
  const current = () => {
    if (generation !== registry.generation) {
      documents = new Map();
      groups = groupsOf(registry.all().map(({ resource }) => resource));
      generation = registry.generation;
    }
    return groups;
  };
  const aggregated = (path: string): Aggregated => {
    const all = current();
    let document = documents.get(path);
    if (document === undefined) {
      document = aggregatedOf(all, path === '/api');
      documents.set(path, document);
    }
    return document;
  };
  return {
    answer(context) {
      const { request, info } = context;
      const path = info.path.length > 1 ? info.path.replace(/\/$/, '') : info.path;
      if (path !== '/api' && path !== '/apis' && !path.startsWith('/api/') && !path.startsWith('/apis/'))
        return undefined;
      const accept = header(request.headers, 'accept');
      if ((path === '/api' || path === '/apis') && wantsAggregated(accept))
        return answerAggregated(aggregated(path), header(request.headers, 'if-none-match'));
      const document = documentOf(path, current(), serverAddress());
      if (document === undefined) return undefined;
      const { contentType, body } = encodeValue(document, negotiate(accept, isPretty(info.query), false));
      return {
        status: 200,
        headers: [
          ['content-type', contentType],
          ['cache-control', 'no-cache, private'],
        ],
        body,
      };
    },
  };
}

function groupsOf(resources: readonly Resource[]): Group[] {
  const groups = new Map<string, Map<string, Resource[]>>();
  for (const resource of resources) {
    const versions = groups.get(resource.group) ?? new Map<string, Resource[]>();
    groups.set(resource.group, versions);
    const list = versions.get(resource.version) ?? [];
    versions.set(resource.version, list);
    list.push(resource);
  }
  const place = (name: string) => {
    const index = groupOrder.indexOf(name);
    return index === -1 ? groupOrder.length : index;
  };
  return [...groups]
    .sort(([a], [b]) => place(a) - place(b) || (a < b ? -1 : 1))
    .map(([name, versions]) => ({
      name,
      versions: [...versions]
        .sort(([a], [b]) => versionRank(b) - versionRank(a))
        .map(([version, list]) => ({ version, resources: list.sort((a, b) => (a.resource < b.resource ? -1 : 1)) })),
    }));
}

/** GA before beta before alpha, then the higher number. */
function versionRank(version: string): number {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (match === null) return -1;
  const stage = match[2] === undefined ? 2 : match[2] === 'beta' ? 1 : 0;
  return stage * 1_000_000 + Number(match[1]) * 1000 + Number(match[3] ?? 0);
}

function documentOf(path: string, groups: readonly Group[], serverAddress: string): object | undefined {
  const [prefix, first, second, ...rest] = path.slice(1).split('/');
  if (rest.length > 0) return undefined;
  const find = (name: string) => groups.find((group) => group.name === name);
  if (prefix === 'api') {
    const core = find('');
    if (second !== undefined) return undefined;
    if (first === undefined)
      return {
        kind: 'APIVersions',
        versions: core?.versions.map(({ version }) => version) ?? [],
        serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
      };
    return resourceList(core, first);
  }
  if (first === undefined)
    return {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: groups.filter(({ name }) => name !== '').map(groupDocument),
    };
  const group = first === '' ? undefined : find(first);
  if (group === undefined) return undefined;
  if (second === undefined) return { kind: 'APIGroup', apiVersion: 'v1', ...groupDocument(group) };
  return resourceList(group, second);
}

function groupDocument({ name, versions }: Group): object {
  const list = versions.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: list, preferredVersion: list[0] };
}

function resourceList(group: Group | undefined, version: string): object | undefined {
  const found = group?.versions.find((entry) => entry.version === version);
  if (group === undefined || found === undefined) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: apiVersionOf({ group: group.name, version }),
    resources: found.resources.flatMap((resource) => [
      {
        name: resource.resource,
        singularName: resource.singular,
        namespaced: resource.namespaced,
        kind: resource.kind,
        verbs: resource.verbs,
        ...(resource.shortNames && { shortNames: resource.shortNames }),
        ...(resource.categories && { categories: resource.categories }),
        ...(resource.stored && { storageVersionHash: storageHash(resource) }),
      },
      ...resource.subresources.map((sub) => ({
        name: `${resource.resource}/${sub.name}`,
        singularName: '',
        namespaced: resource.namespaced,
        ...(sub.group !== undefined && { group: sub.group, version: sub.version }),
        kind: sub.kind,
        verbs: sub.verbs,
      })),
    ]),
  };
}

/** A short name of what is stored, for those who migrate it. */
function storageHash({ group, version, kind, storedAs }: Resource): string {
  const stored = apiVersionOf(storedAs ?? { group, version });
  return createHash('sha256').update(`${stored}/${kind}`).digest().subarray(0, 8).toString('base64');
}

const aggregatedType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

function wantsAggregated(accept: string | undefined): boolean {
  for (const clause of (accept ?? '').split(',')) {
    const parts = clause.split(';').map((part) => part.trim());
    if (parts[0] !== 'application/json') continue;
    // The first form we can serve counts: clients put what they like best first.
    return (
      parts.includes('g=apidiscovery.k8s.io') && parts.includes('v=v2') && parts.includes('as=APIGroupDiscoveryList')
    );
  }
  return false;
}

interface Aggregated {
  readonly body: Uint8Array;
  readonly etag: string;
}

function answerAggregated({ body, etag }: Aggregated, known: string | undefined): HttpResponse {
  const headers: [string, string][] = [
    ['content-type', aggregatedType],
    ['etag', etag],
    ['vary', 'Accept'],
    ['cache-control', 'public'],
  ];
  return known === etag ? { status: 304, headers, body: new Uint8Array(0) } : { status: 200, headers, body };
}

function aggregatedOf(groups: readonly Group[], core: boolean): Aggregated {
  const items = groups
    .filter(({ name }) => (name === '') === core)
    .map(({ name, versions }) => ({
      metadata: { ...(name !== '' && { name }) },
      versions: versions.map(({ version, resources }) => ({
        version,
        freshness: 'Current',
        resources: resources.map(discoveryEntry),
      })),
    }));
  const body = Buffer.from(
    `${JSON.stringify({ kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', metadata: {}, items })}\n`,
  );
  return { body, etag: `"${createHash('sha512').update(body).digest('hex').toUpperCase()}"` };
}

function discoveryEntry(resource: Resource): object {
  const { group, version, kind } = resource;
  return {
    resource: resource.resource,
    responseKind: { group, version, kind },
    scope: resource.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: resource.singular,
    verbs: resource.verbs,
    ...(resource.shortNames && { shortNames: resource.shortNames }),
    ...(resource.categories && { categories: resource.categories }),
    ...(resource.subresources.length > 0 && {
      subresources: resource.subresources.map((sub) => ({
        subresource: sub.name,
        responseKind: { group: sub.group ?? group, version: sub.version ?? version, kind: sub.kind },
        verbs: sub.verbs,
      })),
    }),
  };
}
