/**
 * The ReplicaSet controller: keeps as many pods of a template as wanted. Upstream's pkg/controller/replicaset in duty, events and
 * conditions.
 */
import { keyOf, splitKey } from '#kube-client/resource-ref.ts';
import { type ReplicaSet, replicaSets } from '#kube-client/types/apps.ts';
import { type Pod, pods } from '#kube-client/types/core.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { matches, selectorOf } from '#kube-machinery/label-selector.ts';
import { type ControllerContext, createWorker, isNamespaceTerminating, orNotFound } from '../controller.ts';
import { claim, controllerOf, controllerReference } from '../pods/controller-ref.ts';
import { Expectations } from '../pods/expectations.ts';
import { availableInMs, byDeletionPreference, isPodActive } from '../pods/pod-state.ts';
import { slowStart } from '../pods/slow-start.ts';
import { type ManageFailure, replicaSetStatus } from './status.ts';

/** Pods made or deleted in one sync. */
const burstMax = 500;
const apiVersion = 'apps/v1';
const kind = 'ReplicaSet';

/** Index of pods by the uid of their controller; orphans under the namespace. */
const byController = 'controller';

export function startReplicaSetController(context: ControllerContext): { run(): void } {
  const { informers, client, events, clock } = context;
  const sets = informers.informer<ReplicaSet>(replicaSets);
  const podInformer = informers.informer<Pod>(pods);
  const expectations = new Expectations(clock);
  const worker = createWorker(context, sync);
  const { queue } = worker;

  podInformer.addIndex(byController, (pod) => [controllerOf(pod)?.uid ?? `orphan/${pod.metadata.namespace}`]);
  sets.addIndex(byController, (set) => [controllerOf(set)?.uid ?? '']);
  sets.addHandlers({
    added: (set) => queue.add(keyOf(set)),
    updated: (before, after) => {
      // Deleted and made again while nobody watched: what was expected of the old one is void.
      if (before.metadata.uid !== after.metadata.uid) expectations.forget(keyOf(before));
      queue.add(keyOf(after));
    },
    deleted: (set) => {
      expectations.forget(keyOf(set));
      queue.add(keyOf(set));
    },
  });
  podInformer.addHandlers({
    added(pod) {
      // Seen for the first time on its way out: that is a deletion.
      if (pod.metadata.deletionTimestamp !== undefined) return podDeleted(pod);
      const owner = ownerOf(pod);
      if (owner !== undefined) {
        expectations.creationObserved(keyOf(owner));
        queue.add(keyOf(owner));
      } else if (controllerOf(pod) === undefined) enqueueMatching(pod);
    },
    updated(before, after) {
      if (after.metadata.deletionTimestamp !== undefined) {
        podDeleted(after);
        return;
      }
      const was = ownerOf(before);
      const is = ownerOf(after);
      if (was !== undefined && was !== is) queue.add(keyOf(was));
      if (is !== undefined) {
        queue.add(keyOf(is));
        const waitMs = availableInMs(after, is.spec.minReadySeconds ?? 0, clock.now());
        if (waitMs !== undefined && waitMs > 0) queue.addAfter(keyOf(is), waitMs + 1000);
      } else if (controllerOf(after) === undefined) enqueueMatching(after);
    },
    deleted: podDeleted,
  });
  return worker;

  function podDeleted(pod: Pod): void {
    const owner = ownerOf(pod);
    if (owner === undefined) return;
    expectations.deletionObserved(keyOf(owner), keyOf(pod));
    queue.add(keyOf(owner));
  }

  function ownerOf(pod: Pod): ReplicaSet | undefined {
    const reference = controllerOf(pod);
    if (reference?.kind !== kind) return undefined;
    const set = sets.get(`${pod.metadata.namespace}/${reference.name}`);
    return set?.metadata.uid === reference.uid ? set : undefined;
  }

  function enqueueMatching(pod: Pod): void {
    if (pod.metadata.labels === undefined) return;
    for (const set of sets.byIndex('namespace', pod.metadata.namespace ?? ''))
      if (matches(selectorOf(set.spec.selector)!, pod.metadata.labels)) queue.add(keyOf(set));
  }

  async function sync(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const set = sets.get(key);
    if (set === undefined) {
      expectations.forget(key);
      return;
    }
    const settled = expectations.met(key);
    const selector = selectorOf(set.spec.selector)!;
    const candidates = [
      ...podInformer.byIndex(byController, set.metadata.uid!),
      ...podInformer
        .byIndex(byController, `orphan/${namespace}`)
        .filter((pod) => isPodActive(pod) && matches(selector, pod.metadata.labels)),
    ];
    const claimed = await claim({
      owner: set,
      reference: controllerReference(set, apiVersion, kind),
      selector,
      candidates,
      canAdopt: async () => {
        const fresh = await orNotFound(client.resource<ReplicaSet>(replicaSets, namespace).get(name));
        return fresh?.metadata.uid === set.metadata.uid && fresh?.metadata.deletionTimestamp === undefined;
      },
      resource: client.withCause(`ReplicaSet ${key}: claim`).resource<Pod>(pods, namespace),
    });
    let outcome: { readonly failure?: ManageFailure; readonly error?: unknown } = {};
    if (settled && set.metadata.deletionTimestamp === undefined) outcome = await manage(key, set, claimed);
    await writeStatus(key, set, claimed, outcome.failure);
    if (outcome.error !== undefined) throw outcome.error;
  }

  async function manage(key: string, set: ReplicaSet, claimed: readonly Pod[]) {
    const active = claimed.filter(isPodActive);
    const wanted = set.spec.replicas ?? 1;
    if (active.length < wanted) return await create(key, set, active.length, wanted);
    if (active.length > wanted) return await remove(key, set, active, wanted);
    return {};
  }

  async function create(key: string, set: ReplicaSet, have: number, wanted: number) {
    const count = Math.min(wanted - have, burstMax);
    expectations.expectCreations(key, count);
    const resource = client
      .withCause(`ReplicaSet ${key} wants ${wanted} pods and has ${have}`)
      .resource<Pod>(pods, set.metadata.namespace);
    const { metadata: template = {}, spec } = set.spec.template;
    let observed = 0;
    const { succeeded, error } = await slowStart(count, async () => {
      try {
        const pod = await resource.create({
          metadata: {
            name: '',
            generateName: `${set.metadata.name}-`,
            ...(set.metadata.namespace !== undefined && { namespace: set.metadata.namespace }),
            ...(template.labels && { labels: template.labels }),
            ...(template.annotations && { annotations: template.annotations }),
            ...(template.finalizers && { finalizers: template.finalizers }),
            ownerReferences: [controllerReference(set, apiVersion, kind)],
          },
          spec,
        });
        events.event(set, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
      } catch (failure) {
        observed++;
        expectations.creationObserved(key);
        // The namespace goes: no pods are to be had, and nobody needs to hear it.
        if (isNamespaceTerminating(failure)) return;
        events.event(set, 'Warning', 'FailedCreate', `Error creating: ${messageOf(failure)}`);
        throw failure;
      }
    });
    // Those never tried will not be seen either.
    if (error !== undefined) for (let i = succeeded + observed; i < count; i++) expectations.creationObserved(key);
    return error === undefined
      ? {}
      : { error, failure: { reason: 'FailedCreate' as const, message: messageOf(error) } };
  }

  async function remove(key: string, set: ReplicaSet, active: readonly Pod[], wanted: number) {
    const count = Math.min(active.length - wanted, burstMax);
    const onNode = new Map<string, number>();
    for (const pod of relatedPods(set))
      if (pod.spec.nodeName) onNode.set(pod.spec.nodeName, (onNode.get(pod.spec.nodeName) ?? 0) + 1);
    const victims = [...active]
      .sort(byDeletionPreference((pod) => onNode.get(pod.spec.nodeName ?? '') ?? 0, clock.now()))
      .slice(0, count);
    expectations.expectDeletions(key, victims.map(keyOf));
    const resource = client
      .withCause(`ReplicaSet ${key} wants ${wanted} pods and has ${active.length}`)
      .resource<Pod>(pods, set.metadata.namespace);
    const results = await Promise.allSettled(
      victims.map(async (pod) => {
        try {
          const gone = await orNotFound(
            resource.delete(pod.metadata.name, { preconditions: { uid: pod.metadata.uid! } }).then(() => true),
          );
          if (gone === undefined) expectations.deletionObserved(key, keyOf(pod));
          else events.event(set, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`);
        } catch (failure) {
          expectations.deletionObserved(key, keyOf(pod));
          events.event(set, 'Warning', 'FailedDelete', `Error deleting: ${messageOf(failure)}`);
          throw failure;
        }
      }),
    );
    const failed = results.find((result) => result.status === 'rejected');
    return failed === undefined
      ? {}
      : { error: failed.reason, failure: { reason: 'FailedDelete' as const, message: messageOf(failed.reason) } };
  }

  /** The pods of all ReplicaSets of the same Deployment: what shares a node counts over revisions. */
  function relatedPods(set: ReplicaSet): Pod[] {
    const owner = controllerOf(set)?.uid;
    const family = owner === undefined ? [set] : sets.byIndex(byController, owner);
    return family.flatMap(({ metadata }) => podInformer.byIndex(byController, metadata.uid!)).filter(isPodActive);
  }

  async function writeStatus(
    key: string,
    set: ReplicaSet,
    claimed: readonly Pod[],
    failure: ManageFailure | undefined,
  ): Promise<void> {
    const nowMs = clock.now();
    const status = replicaSetStatus(set, claimed, failure, nowMs);
    if (!equal(status, set.status ?? {}))
      await orNotFound(
        client
          .withCause(`ReplicaSet ${key}: its pods changed`)
          .resource<ReplicaSet>(replicaSets, set.metadata.namespace)
          .updateStatus({ ...set, status }),
      );
    const { minReadySeconds = 0 } = set.spec;
    if (minReadySeconds === 0) return;
    const waits = claimed
      .filter(isPodActive)
      .map((pod) => availableInMs(pod, minReadySeconds, nowMs) ?? 0)
      .filter((waitMs) => waitMs > 0);
    if (waits.length > 0) queue.addAfter(key, Math.min(...waits) + 1);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
