/**
 * What a server serves: every resource of every group, as its discovery documents say: the two aggregated ones where the server has them, else
 * one of each group and version. Source: client-go's discovery and KEP-3352.
 */
import type { KubeClient } from './client.ts';
import type { ResourceRef } from './resource-ref.ts';

export interface DiscoveredResource extends ResourceRef {
  readonly kind: string;
  readonly verbs: readonly string[];
  /** True in the version that its group prefers. */
  readonly preferred: boolean;
}

export interface Discovery {
  readonly resources: readonly DiscoveredResource[];
  /** Groups that did not answer: what they hold is unknown, not gone. */
  readonly failures: readonly { readonly groupVersion: string; readonly error: unknown }[];
}

interface ApiResourceList {
  readonly resources: readonly {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
    readonly verbs: readonly string[];
  }[];
}

interface ApiGroupList {
  readonly groups: readonly {
    readonly name: string;
    readonly versions: readonly { readonly groupVersion: string; readonly version: string }[];
    readonly preferredVersion: { readonly version: string };
  }[];
}

interface AggregatedDiscovery {
  readonly kind?: string;
  readonly items: readonly {
    /** Without a name for the core group. */
    readonly metadata: { readonly name?: string };
    /** The preferred one first. */
    readonly versions: readonly {
      readonly version: string;
      readonly freshness?: 'Current' | 'Stale';
      readonly resources?: readonly {
        readonly resource: string;
        readonly responseKind: { readonly kind: string };
        readonly scope: 'Namespaced' | 'Cluster';
        readonly verbs: readonly string[];
      }[];
    }[];
  }[];
}

const aggregatedForm = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** @throws StatusError when the lists of groups cannot be had */
export async function discover(client: KubeClient, signal?: AbortSignal): Promise<Discovery> {
  const [core, groups] = await Promise.all(
    ['/api', '/apis'].map((path) =>
      client.raw<AggregatedDiscovery | ApiGroupList>(path, signal, `${aggregatedForm},application/json`),
    ),
  );
  return isAggregated(core!) && isAggregated(groups!)
    ? readAggregated([core, groups])
    : await discoverEach(client, groups as ApiGroupList, signal);
}

function isAggregated(document: AggregatedDiscovery | ApiGroupList): document is AggregatedDiscovery {
  return 'kind' in document && document.kind === 'APIGroupDiscoveryList';
}

function readAggregated(documents: readonly AggregatedDiscovery[]): Discovery {
  const resources: DiscoveredResource[] = [];
  const failures: { groupVersion: string; error: unknown }[] = [];
  for (const { metadata, versions } of documents.flatMap(({ items }) => items)) {
    const group = metadata.name ?? '';
    for (const [place, { version, freshness, resources: listed = [] }] of versions.entries()) {
      // What a server behind this one said once, and does not say now.
      if (freshness === 'Stale') {
        const groupVersion = group === '' ? version : `${group}/${version}`;
        failures.push({ groupVersion, error: new Error(`stale GroupVersion discovery: ${groupVersion}`) });
        continue;
      }
      for (const { resource, responseKind, scope, verbs } of listed)
        resources.push({
          group,
          version,
          resource,
          kind: responseKind.kind,
          namespaced: scope === 'Namespaced',
          verbs,
          preferred: place === 0,
        });
    }
  }
  return { resources, failures };
}

async function discoverEach(client: KubeClient, groups: ApiGroupList, signal?: AbortSignal): Promise<Discovery> {
  const wanted = [
    { path: '/api/v1', group: '', version: 'v1', preferred: true },
    ...groups.groups.flatMap(({ name, versions, preferredVersion }) =>
      versions.map(({ version }) => ({
        path: `/apis/${name}/${version}`,
        group: name,
        version,
        preferred: version === preferredVersion.version,
      })),
    ),
  ];
  const resources: DiscoveredResource[] = [];
  const failures: { groupVersion: string; error: unknown }[] = [];
  const answers = await Promise.allSettled(wanted.map(({ path }) => client.raw<ApiResourceList>(path, signal)));
  for (const [i, answer] of answers.entries()) {
    const { group, version, preferred } = wanted[i]!;
    if (answer.status === 'rejected') {
      failures.push({ groupVersion: group === '' ? version : `${group}/${version}`, error: answer.reason });
      continue;
    }
    // Those with a slash are subresources.
    for (const { name, kind, namespaced, verbs } of answer.value.resources ?? [])
      if (!name.includes('/')) resources.push({ group, version, resource: name, kind, namespaced, verbs, preferred });
  }
  return { resources, failures };
}

/** One row a resource: in its group's preferred version, or in the first that has it. */
export function preferredResources({ resources }: Discovery): DiscoveredResource[] {
  const chosen = new Map<string, DiscoveredResource>();
  for (const resource of resources) {
    const key = `${resource.group}/${resource.resource}`;
    const known = chosen.get(key);
    if (known === undefined || (resource.preferred && !known.preferred)) chosen.set(key, resource);
  }
  return [...chosen.values()];
}
