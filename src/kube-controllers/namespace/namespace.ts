/**
 * The namespace controller: empties a namespace that is being deleted, pods first, and lets it go when nothing is left. Upstream's
 * pkg/controller/namespace in duty and conditions.
 */
import { type DiscoveredResource, discover, preferredResources } from '#kube-client/discovery.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { type Namespace, namespaces } from '#kube-client/types/core.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { StatusError } from '#kube-machinery/status.ts';
import { type ControllerContext, createWorker, orNotFound } from '../controller.ts';
import { type DeletionReport, deletionConditions } from './conditions.ts';

const finalizer = 'kubernetes';
/** First look again after this long, then doubling. */
const retryMinMs = 100;
const retryMaxMs = 15_000;

export function startNamespaceController(context: ControllerContext): { run(): void } {
  const { informers, client, clock, log } = context;
  const informer = informers.informer<Namespace>(namespaces);
  const worker = createWorker(context, sync, 10);
  const { queue } = worker;
  const attempts = new Map<string, number>();
  const seen = ({ metadata }: Namespace) => {
    if (metadata.deletionTimestamp !== undefined) queue.add(metadata.name);
  };
  informer.addHandlers({
    added: seen,
    updated: (before, after) => {
      // Our own conditions come back here; they are no reason to hurry.
      if (before.metadata.deletionTimestamp === undefined || !equal(before.spec, after.spec)) seen(after);
    },
    deleted: ({ metadata }) => attempts.delete(metadata.name),
  });
  return worker;

  async function sync(name: string): Promise<void> {
    const resource = client.withCause(`namespace ${name} is being deleted`).resource<Namespace>(namespaces);
    let namespace = await orNotFound(resource.get(name));
    if (namespace === undefined || namespace.metadata.deletionTimestamp === undefined) return;
    if (namespace.status?.phase !== 'Terminating')
      namespace = await resource.updateStatus({ ...namespace, status: { ...namespace.status, phase: 'Terminating' } });
    const finalizers = namespace.spec?.finalizers ?? [];
    if (!finalizers.includes(finalizer)) return;

    const report = await empty(name);
    const conditions = deletionConditions(namespace.status?.conditions ?? [], report, clock.now());
    if (!equal(conditions, namespace.status?.conditions ?? []))
      namespace = await resource.updateStatus({ ...namespace, status: { ...namespace.status, conditions } });
    if (report.remaining.size === 0 && report.contentFailures.length === 0 && report.discoveryFailure === undefined) {
      attempts.delete(name);
      await orNotFound(
        resource.update(
          { ...namespace, spec: { ...namespace.spec, finalizers: finalizers.filter((each) => each !== finalizer) } },
          { subresource: 'finalize' },
        ),
      );
      return;
    }
    const attempt = attempts.get(name) ?? 0;
    attempts.set(name, attempt + 1);
    queue.addAfter(name, Math.min(retryMinMs * 2 ** attempt, retryMaxMs));
  }

  async function empty(namespace: string): Promise<DeletionReport> {
    const found = await discover(client);
    const deletable = preferredResources(found).filter(
      ({ namespaced, verbs }) => namespaced && verbs.includes('delete') && verbs.includes('list'),
    );
    const remaining = new Map<string, number>();
    const finalizers = new Map<string, number>();
    const contentFailures: string[] = [];
    const clear = async (resource: DiscoveredResource) => {
      try {
        const left = await clearResource(resource, namespace);
        if (left.length === 0) return;
        remaining.set(describe(resource), left.length);
        for (const { metadata } of left)
          for (const name of metadata.finalizers ?? []) finalizers.set(name, (finalizers.get(name) ?? 0) + 1);
      } catch (error) {
        contentFailures.push(error instanceof Error ? error.message : String(error));
        log(`namespace ${namespace}: ${describe(resource)}: ${error instanceof Error ? error.message : error}`);
      }
    };
    const isPods = ({ group, resource }: DiscoveredResource) => group === '' && resource === 'pods';
    for (const resource of deletable.filter(isPods)) await clear(resource);
    // What pods use goes after the last pod: secrets, policies, claims.
    if (remaining.size === 0 && contentFailures.length === 0)
      await Promise.all(deletable.filter((resource) => !isPods(resource)).map(clear));
    return {
      ...(found.failures.length > 0 && {
        discoveryFailure: found.failures.map(({ groupVersion, error }) => `${groupVersion}: ${error}`).join(', '),
      }),
      contentFailures,
      remaining,
      finalizers,
    };
  }

  /** @returns what is still there after all was told to go */
  async function clearResource(resource: DiscoveredResource, namespace: string): Promise<readonly ApiObject[]> {
    const objects = client
      .withCause(`namespace ${namespace} is being deleted`)
      .resource<ApiObject>(resource, namespace);
    const present = await list();
    const waiting = present.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (waiting.length === 0) return present;
    if (resource.verbs.includes('deletecollection'))
      await objects.deleteCollection({}, { propagationPolicy: 'Background' });
    else
      for (const { metadata } of waiting)
        await orNotFound(objects.delete(metadata.name, { propagationPolicy: 'Background' }));
    return await list();

    async function list(): Promise<readonly ApiObject[]> {
      try {
        return (await objects.list({ metadataOnly: true })).items;
      } catch (error) {
        // Served no more, or never meant to be listed.
        if (error instanceof StatusError && (error.code === 404 || error.code === 405)) return [];
        throw error;
      }
    }
  }
}

/** As upstream's GroupVersionResource prints in these messages: the core group is empty, its dot stays. */
function describe({ group, resource }: DiscoveredResource): string {
  return `${resource}.${group}`;
}
