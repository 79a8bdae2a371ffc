/**
 * The pod garbage collector: removes pods that no kubelet will ever finish — on nodes that are gone, deleted before they got a node —
 * and the oldest finished ones when there are too many. Upstream's pkg/controller/podgc in duty; event-driven.
 */
import { keyOf, splitKey } from '#kube-client/resource-ref.ts';
import { parseTime } from '#kube-client/time.ts';
import { type Node, nodes, type Pod, pods } from '#kube-client/types/core.ts';
import { type ControllerContext, createWorker, orNotFound } from '../controller.ts';
import { podsByNodeIndex } from '../node-lifecycle/node-lifecycle.ts';
import { isNodeReady } from '../node-lifecycle/taints.ts';
import { markDisrupted } from '../pods/disruption.ts';

/** A node that is missing may only be late: its pods are left alone for this long. */
export const quarantineMs = 40_000;
/** Finished pods that are kept; `--terminated-pod-gc-threshold`. */
export const finishedPodsMax = 12_500;
const outOfServiceTaint = 'node.kubernetes.io/out-of-service';

export function startPodGarbageCollector(context: ControllerContext): { run(): void } {
  const { informers, client, clock } = context;
  const podInformer = informers.informer<Pod>(pods);
  const nodeInformer = informers.informer<Node>(nodes);
  const worker = createWorker(context, sync);
  const { queue } = worker;
  const finished = new Map<string, Pod>();
  /** When a node was found missing. */
  const missingMs = new Map<string, number>();

  podInformer.addIndex(podsByNodeIndex, ({ spec }) => (spec.nodeName ? [spec.nodeName] : []));
  const seen = (pod: Pod) => {
    const key = keyOf(pod);
    if (isFinished(pod)) {
      finished.set(key, pod);
      if (finished.size > finishedPodsMax) queue.add(oldest(finished));
    }
    if (
      !pod.spec.nodeName
        ? pod.metadata.deletionTimestamp !== undefined
        : !nodeInformer.get(pod.spec.nodeName) || pod.metadata.deletionTimestamp !== undefined
    )
      queue.add(key);
  };
  podInformer.addHandlers({
    added: seen,
    updated: (_, pod) => seen(pod),
    deleted(pod) {
      finished.delete(keyOf(pod));
      // Names of nodes come and go: what nobody names any more is forgotten.
      const { nodeName } = pod.spec;
      if (nodeName && podInformer.byIndex(podsByNodeIndex, nodeName).length === 0) missingMs.delete(nodeName);
    },
  });
  const enqueuePods = ({ metadata }: Node) => {
    for (const pod of podInformer.byIndex(podsByNodeIndex, metadata.name)) queue.add(keyOf(pod));
  };
  nodeInformer.addHandlers({
    added: ({ metadata }) => missingMs.delete(metadata.name),
    updated: (_, node) => {
      if (isOutOfService(node)) enqueuePods(node);
    },
    deleted: enqueuePods,
  });
  return worker;

  async function sync(key: string): Promise<void> {
    const pod = podInformer.get(key);
    if (pod === undefined) return;
    const { nodeName } = pod.spec;
    const deleted = pod.metadata.deletionTimestamp !== undefined;
    if (finished.size > finishedPodsMax && isFinished(pod)) {
      finished.delete(key);
      if (finished.size > finishedPodsMax) queue.add(oldest(finished));
      return await remove(pod, 'too many finished pods');
    }
    if (!nodeName) return deleted ? await remove(pod, 'deleted before it got a node') : undefined;
    const node = nodeInformer.get(nodeName);
    if (node !== undefined) {
      if (deleted && isOutOfService(node) && !isNodeReady(node)) {
        await markDisrupted({ client, clock }, pod, 'DeletionByPodGC', 'PodGC: node is out of service');
        await remove(pod, `node ${nodeName} is out of service`);
      }
      return;
    }
    const nowMs = clock.monotonicMs();
    const sinceMs = missingMs.get(nodeName) ?? nowMs;
    missingMs.set(nodeName, sinceMs);
    if (nowMs - sinceMs < quarantineMs) {
      queue.addAfter(key, quarantineMs - (nowMs - sinceMs));
      return;
    }
    // The informer may be behind.
    if ((await orNotFound(client.resource<Node>(nodes).get(nodeName))) !== undefined) return;
    await markDisrupted(
      { client, clock },
      pod,
      'DeletionByPodGC',
      'PodGC: node no longer exists',
      isFinished(pod) ? {} : { phase: 'Failed' },
    );
    await remove(pod, `node ${nodeName} no longer exists`);
  }

  async function remove(pod: Pod, cause: string): Promise<void> {
    const { namespace, name } = splitKey(keyOf(pod));
    await orNotFound(
      client
        .withCause(cause)
        .resource<Pod>(pods, namespace)
        .delete(name, { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid! } }),
    );
  }
}

function isFinished({ status, metadata }: Pod): boolean {
  return (status?.phase === 'Succeeded' || status?.phase === 'Failed') && metadata.deletionTimestamp === undefined;
}

function isOutOfService({ spec }: Node): boolean {
  return spec?.taints?.some(({ key }) => key === outOfServiceTaint) ?? false;
}

function oldest(pods: ReadonlyMap<string, Pod>): string {
  let found = '';
  let foundMs = Number.POSITIVE_INFINITY;
  for (const [key, { metadata }] of pods) {
    const createdMs = parseTime(metadata.creationTimestamp);
    if (createdMs >= foundMs) continue;
    found = key;
    foundMs = createdMs;
  }
  return found;
}
