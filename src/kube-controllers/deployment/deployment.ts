/**
 * The Deployment controller: rolls one ReplicaSet after another over its pods. Upstream's pkg/controller/deployment in duty, events,
 * annotations and conditions; plans come from `plan.ts`, this file carries them out.
 */
import { keyOf, splitKey } from '#kube-client/resource-ref.ts';
import {
  type Deployment,
  type DeploymentStatus,
  deployments,
  type ReplicaSet,
  replicaSets,
} from '#kube-client/types/apps.ts';
import { type Pod, pods } from '#kube-client/types/core.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { matches, selectorOf } from '#kube-machinery/label-selector.ts';
import { StatusError } from '#kube-machinery/status.ts';
import { type ControllerContext, createWorker, isNamespaceTerminating, orNotFound } from '../controller.ts';
import { claim, controllerOf, controllerReference } from '../pods/controller-ref.ts';
import {
  fenceposts,
  isRolling,
  isScalingEvent,
  newReplicas,
  replicasOf,
  rollingStep,
  type Scaling,
  scalingStep,
} from './plan.ts';
import {
  byCreation,
  findNewReplicaSet,
  hashLabel,
  newReplicaSetAnnotations,
  replicasAnnotations,
  revisionAnnotation,
  revisionOf,
  templateHash,
  withoutHash,
} from './revision.ts';
import {
  conditionOf,
  deploymentStatus,
  hasProgressDeadline,
  isComplete,
  rolloutStatus,
  stuckInMs,
  withCondition,
} from './status.ts';

const apiVersion = 'apps/v1';
const kind = 'Deployment';
const historyLimitDefault = 10;
const byController = 'controller';

/** A Deployment with what it owns, during one sync. */
interface View {
  readonly key: string;
  readonly deployment: Deployment;
  readonly newSet: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
}

export function startDeploymentController(context: ControllerContext): { run(): void } {
  const { informers, client, events, clock } = context;
  const informer = informers.informer<Deployment>(deployments);
  const sets = informers.informer<ReplicaSet>(replicaSets);
  const podInformer = informers.informer<Pod>(pods);
  const worker = createWorker(context, sync);
  const { queue } = worker;

  const ownerIndex = ({ metadata, ...rest }: ReplicaSet | Pod) => [
    controllerOf({ metadata, ...rest })?.uid ?? `orphan/${metadata.namespace}`,
  ];
  sets.addIndex('deployment', ownerIndex);
  podInformer.addIndex(byController, ownerIndex);
  informer.addHandlers({
    added: (deployment) => queue.add(keyOf(deployment)),
    updated: (_, deployment) => queue.add(keyOf(deployment)),
    deleted: (deployment) => queue.add(keyOf(deployment)),
  });
  sets.addHandlers({
    added: enqueueOwner,
    updated: (before, after) => {
      if (controllerOf(before)?.uid !== controllerOf(after)?.uid) enqueueOwner(before);
      enqueueOwner(after);
    },
    deleted: enqueueOwner,
  });
  podInformer.addHandlers({
    // Recreate waits for the last old pod to go.
    deleted(pod) {
      const owner = controllerOf(pod);
      const set = owner === undefined ? undefined : sets.get(`${pod.metadata.namespace}/${owner.name}`);
      const deployment = set === undefined ? undefined : ownerOf(set);
      if (deployment !== undefined && !isRolling(deployment)) queue.add(keyOf(deployment));
    },
  });
  return worker;

  function ownerOf(set: ReplicaSet): Deployment | undefined {
    const reference = controllerOf(set);
    if (reference?.kind !== kind) return undefined;
    const deployment = informer.get(`${set.metadata.namespace}/${reference.name}`);
    return deployment?.metadata.uid === reference.uid ? deployment : undefined;
  }

  function enqueueOwner(set: ReplicaSet): void {
    const owner = ownerOf(set);
    if (owner !== undefined) queue.add(keyOf(owner));
    else if (controllerOf(set) === undefined && set.metadata.labels !== undefined)
      for (const deployment of informer.byIndex('namespace', set.metadata.namespace ?? ''))
        if (matches(selectorOf(deployment.spec.selector)!, set.metadata.labels)) queue.add(keyOf(deployment));
  }

  async function sync(key: string): Promise<void> {
    const deployment = informer.get(key);
    if (deployment === undefined) return;
    const selector = selectorOf(deployment.spec.selector)!;
    if (selector.length === 0) {
      events.event(
        deployment,
        'Warning',
        'SelectingAll',
        'This deployment is selecting all pods. A non-empty selector is required.',
      );
      return;
    }
    const owned = await claimSets(key, deployment);
    const newSet = findNewReplicaSet(deployment, owned);
    const view: View = { key, deployment, newSet, old: owned.filter((set) => set !== newSet) };
    if (deployment.metadata.deletionTimestamp !== undefined) return await writeStatus(view, steady(view));
    if (await notePause(view)) return;
    if (deployment.spec.paused || isScalingEvent(deployment, owned)) return await syncScale(view);
    if (isRolling(deployment)) await roll(view);
    else await recreate(view);
  }

  async function claimSets(key: string, deployment: Deployment): Promise<ReplicaSet[]> {
    const { namespace, name } = splitKey(key);
    const selector = selectorOf(deployment.spec.selector)!;
    return await claim({
      owner: deployment,
      reference: controllerReference(deployment, apiVersion, kind),
      selector,
      candidates: [
        ...sets.byIndex('deployment', deployment.metadata.uid!),
        ...sets
          .byIndex('deployment', `orphan/${namespace}`)
          .filter(({ metadata }) => matches(selector, metadata.labels)),
      ],
      canAdopt: async () => {
        const fresh = await orNotFound(client.resource<Deployment>(deployments, namespace).get(name));
        return fresh?.metadata.uid === deployment.metadata.uid && fresh?.metadata.deletionTimestamp === undefined;
      },
      resource: client.withCause(`Deployment ${key}: claim`).resource<ReplicaSet>(replicaSets, namespace),
    });
  }

  /** Notes in the status that a rollout is paused or goes on: its deadline must not run meanwhile. True when that was written. */
  async function notePause({ key, deployment }: View): Promise<boolean> {
    if (!hasProgressDeadline(deployment)) return false;
    const current = conditionOf(deployment.status, 'Progressing');
    if (current?.reason === 'ProgressDeadlineExceeded') return false;
    const noted = current?.reason === 'DeploymentPaused';
    const paused = deployment.spec.paused ?? false;
    if (noted === paused) return false;
    const conditions = withCondition(
      deployment.status?.conditions ?? [],
      {
        type: 'Progressing',
        status: 'Unknown',
        reason: paused ? 'DeploymentPaused' : 'DeploymentResumed',
        message: paused ? 'Deployment is paused' : 'Deployment is resumed',
      },
      clock.now(),
    );
    await updateStatus(key, deployment, { ...deployment.status, conditions });
    // The change comes back through the informer.
    return true;
  }

  async function syncScale(view: View): Promise<void> {
    const { deployment, newSet, old } = view;
    const numbered = newSet === undefined ? undefined : await numberRevision(view);
    if (numbered === 'written') return;
    await scale(view, scalingStep(deployment, newSet, old));
    if (deployment.spec.paused) await cleanUp(view);
    await writeStatus(view, steady(view));
  }

  async function roll(view: View): Promise<void> {
    const withNew = await withNewSet(view);
    if (withNew === undefined) return;
    const { deployment, newSet, old } = withNew;
    const scaled = await scale(withNew, rollingStep(deployment, newSet!, old));
    if (!scaled && isComplete(deployment, deployment.status ?? {})) await cleanUp(withNew);
    await syncRollout(withNew);
  }

  async function recreate(view: View): Promise<void> {
    const { deployment, old } = view;
    const active = old.filter((set) => replicasOf(set) > 0);
    if (
      await scale(
        view,
        active.map((set) => ({ set, replicas: 0 })),
      )
    )
      return await syncRollout(view);
    if (old.some(hasRunningPods)) return await syncRollout(view);
    const withNew = await withNewSet(view);
    if (withNew === undefined) return;
    const wanted = replicasOf(deployment);
    if (replicasOf(withNew.newSet!) !== wanted) await scale(withNew, [{ set: withNew.newSet!, replicas: wanted }]);
    if (isComplete(deployment, deployment.status ?? {})) await cleanUp(withNew);
    await syncRollout(withNew);
  }

  function hasRunningPods({ metadata }: ReplicaSet): boolean {
    return podInformer
      .byIndex(byController, metadata.uid!)
      .some(({ status }) => status?.phase !== 'Succeeded' && status?.phase !== 'Failed');
  }

  /** With the ReplicaSet of the current template, made when it is missing; undefined when the sync is to start over. */
  async function withNewSet(view: View): Promise<View | undefined> {
    if (view.newSet !== undefined) return (await numberRevision(view)) === 'written' ? undefined : view;
    const newSet = await createNewSet(view);
    return newSet === undefined ? undefined : { ...view, newSet };
  }

  /** Gives an existing ReplicaSet the newest number when it became current again, and the Deployment its number. */
  async function numberRevision({ key, deployment, newSet, old }: View): Promise<'written' | undefined> {
    const set = newSet!;
    const annotations = newReplicaSetAnnotations(deployment, set.metadata.annotations, newestRevision(old) + 1);
    const { minReadySeconds } = deployment.spec;
    if (
      !equal(annotations, set.metadata.annotations ?? {}) ||
      (set.spec.minReadySeconds ?? 0) !== (minReadySeconds ?? 0)
    ) {
      await client
        .withCause(`Deployment ${key}: ${set.metadata.name} is its current revision`)
        .resource<ReplicaSet>(replicaSets, set.metadata.namespace)
        .update({
          ...set,
          metadata: { ...set.metadata, annotations },
          spec: { ...set.spec, ...(minReadySeconds !== undefined && { minReadySeconds }) },
        });
      return 'written';
    }
    return await noteRevision(key, deployment, annotations[revisionAnnotation]!);
  }

  async function noteRevision(key: string, deployment: Deployment, revision: string): Promise<'written' | undefined> {
    if (deployment.metadata.annotations?.[revisionAnnotation] === revision) return undefined;
    await client
      .withCause(`Deployment ${key} is at revision ${revision}`)
      .resource<Deployment>(deployments, deployment.metadata.namespace)
      .update({
        ...deployment,
        metadata: {
          ...deployment.metadata,
          annotations: { ...deployment.metadata.annotations, [revisionAnnotation]: revision },
        },
      });
    return 'written';
  }

  async function createNewSet({ key, deployment, old }: View): Promise<ReplicaSet | undefined> {
    const hash = templateHash(deployment.spec.template, deployment.status?.collisionCount);
    const { template } = deployment.spec;
    const labels = { ...template.metadata?.labels, [hashLabel]: hash };
    const wanted = replicasOf(deployment);
    const replicas = newReplicas(deployment, old, 0);
    const { namespace } = deployment.metadata;
    const set: ReplicaSet = {
      metadata: {
        name: `${deployment.metadata.name}-${hash}`,
        ...(namespace !== undefined && { namespace }),
        labels,
        annotations: {
          ...newReplicaSetAnnotations(deployment, undefined, newestRevision(old) + 1),
          ...replicasAnnotations(wanted, wanted + fenceposts(deployment).maxSurge),
        },
        ownerReferences: [controllerReference(deployment, apiVersion, kind)],
      },
      spec: {
        replicas,
        ...(deployment.spec.minReadySeconds !== undefined && { minReadySeconds: deployment.spec.minReadySeconds }),
        selector: {
          ...deployment.spec.selector,
          matchLabels: { ...deployment.spec.selector.matchLabels, [hashLabel]: hash },
        },
        template: { ...template, metadata: { ...template.metadata, labels } },
      },
    };
    const resource = client
      .withCause(`Deployment ${key} has no ReplicaSet of its current template`)
      .resource<ReplicaSet>(replicaSets, namespace);
    try {
      const created = await resource.create(set);
      if (replicas > 0)
        events.event(
          deployment,
          'Normal',
          'ScalingReplicaSet',
          `Scaled up replica set ${created.metadata.name} from 0 to ${replicas}`,
        );
      await progress(
        key,
        deployment,
        'True',
        'NewReplicaSetCreated',
        `Created new replica set ${JSON.stringify(created.metadata.name)}`,
      );
      return undefined;
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      if (error.reason === 'AlreadyExists') {
        const found = await orNotFound(resource.get(set.metadata.name));
        // The informer is behind: it is ours, made by the sync before this one.
        if (
          found !== undefined &&
          controllerOf(found)?.uid === deployment.metadata.uid &&
          equal(withoutHash(found.spec.template), withoutHash(template))
        )
          return found;
        const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
        await updateStatus(key, deployment, { ...deployment.status, collisionCount });
        return undefined;
      }
      if (isNamespaceTerminating(error)) return undefined;
      const message = `Failed to create new replica set ${JSON.stringify(set.metadata.name)}: ${error.message}`;
      await progress(key, deployment, 'False', 'ReplicaSetCreateError', message);
      events.event(deployment, 'Warning', 'ReplicaSetCreateError', message);
      throw error;
    }
  }

  async function progress(
    key: string,
    deployment: Deployment,
    status: 'True' | 'False',
    reason: string,
    message: string,
  ): Promise<void> {
    if (!hasProgressDeadline(deployment)) return;
    const before = deployment.status?.conditions ?? [];
    const conditions = withCondition(before, { type: 'Progressing', status, reason, message }, clock.now());
    if (conditions !== before) await updateStatus(key, deployment, { ...deployment.status, conditions });
  }

  /** True when the number of any ReplicaSet was changed. */
  async function scale({ key, deployment }: View, plan: readonly Scaling[]): Promise<boolean> {
    const wanted = replicasOf(deployment);
    const annotations = replicasAnnotations(wanted, wanted + fenceposts(deployment).maxSurge);
    let scaled = false;
    for (const { set, replicas } of plan) {
      const current = replicasOf(set);
      const annotated = Object.entries(annotations).every(
        ([name, value]) => set.metadata.annotations?.[name] === value,
      );
      if (current === replicas && annotated) continue;
      const direction = replicas > current ? 'up' : 'down';
      await client
        .withCause(`Deployment ${key}: scale ${set.metadata.name} from ${current} to ${replicas}`)
        .resource<ReplicaSet>(replicaSets, set.metadata.namespace)
        .update({
          ...set,
          metadata: { ...set.metadata, annotations: { ...set.metadata.annotations, ...annotations } },
          spec: { ...set.spec, replicas },
        });
      if (current === replicas) continue;
      scaled = true;
      events.event(
        deployment,
        'Normal',
        'ScalingReplicaSet',
        `Scaled ${direction} replica set ${set.metadata.name} from ${current} to ${replicas}`,
      );
    }
    return scaled;
  }

  /** Deletes old revisions beyond the limit that have no pods. */
  async function cleanUp({ key, deployment, old }: View): Promise<void> {
    const limit = deployment.spec.revisionHistoryLimit ?? historyLimitDefault;
    const alive = old.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    const surplus = alive.length - limit;
    if (surplus <= 0) return;
    const victims = [...alive]
      .sort((a, b) => revisionOf(a) - revisionOf(b) || byCreation(a, b))
      .slice(0, surplus)
      .filter(
        (set) =>
          (set.status?.replicas ?? 0) === 0 &&
          replicasOf(set) === 0 &&
          (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0),
      );
    const resource = client
      .withCause(`Deployment ${key} keeps ${limit} old revisions`)
      .resource<ReplicaSet>(replicaSets, deployment.metadata.namespace);
    for (const { metadata } of victims) await orNotFound(resource.delete(metadata.name));
  }

  function steady({ deployment, newSet, old }: View): DeploymentStatus {
    return deploymentStatus(deployment, newSet === undefined ? old : [...old, newSet], newSet, clock.now());
  }

  async function syncRollout(view: View): Promise<void> {
    const { key, deployment, newSet, old } = view;
    const status = rolloutStatus(deployment, newSet === undefined ? old : [...old, newSet], newSet, clock.now());
    await writeStatus(view, status);
    const waitMs = stuckInMs(deployment, status, clock.now());
    if (waitMs !== undefined) queue.addAfter(key, waitMs);
  }

  async function writeStatus({ key, deployment }: View, status: DeploymentStatus): Promise<void> {
    if (!equal(status, deployment.status ?? {})) await updateStatus(key, deployment, status);
  }

  async function updateStatus(key: string, deployment: Deployment, status: DeploymentStatus): Promise<void> {
    await orNotFound(
      client
        .withCause(`Deployment ${key}: its ReplicaSets changed`)
        .resource<Deployment>(deployments, deployment.metadata.namespace)
        .updateStatus({ ...deployment, status }),
    );
  }
}

function newestRevision(sets: readonly ReplicaSet[]): number {
  return Math.max(0, ...sets.map(revisionOf));
}
