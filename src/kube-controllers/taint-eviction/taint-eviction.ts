/**
 * The taint eviction controller: deletes pods from nodes whose `NoExecute` taints they do not tolerate, or not for longer. Upstream's
 * pkg/controller/tainteviction in duty, events and conditions.
 */
import { keyOf, splitKey } from '#kube-client/resource-ref.ts';
import { parseTime } from '#kube-client/time.ts';
import { type Node, nodes, type Pod, pods, type Taint, type Toleration } from '#kube-client/types/core.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { type ControllerContext, createWorker, orNotFound } from '../controller.ts';
import { podsByNodeIndex } from '../node-lifecycle/node-lifecycle.ts';
import { markDisrupted } from '../pods/disruption.ts';

export function startTaintEvictionController(context: ControllerContext): { run(): void } {
  const { informers, client, events, clock } = context;
  const nodeInformer = informers.informer<Node>(nodes);
  const podInformer = informers.informer<Pod>(pods);
  const worker = createWorker(context, sync);
  const { queue } = worker;
  /** Pods that wait for their toleration to end, and since when. */
  const waiting = new Map<string, number>();

  podInformer.addIndex(podsByNodeIndex, ({ spec }) => (spec.nodeName ? [spec.nodeName] : []));
  podInformer.addHandlers({
    added: (pod) => {
      if (noExecute(nodeInformer.get(pod.spec.nodeName ?? '')).length > 0) queue.add(keyOf(pod));
    },
    updated: (before, after) => {
      if (before.spec.nodeName !== after.spec.nodeName || !equal(before.spec.tolerations, after.spec.tolerations))
        queue.add(keyOf(after));
    },
    deleted: (pod) => waiting.delete(keyOf(pod)),
  });
  const enqueuePods = (node: Node) => {
    for (const pod of podInformer.byIndex(podsByNodeIndex, node.metadata.name)) queue.add(keyOf(pod));
  };
  nodeInformer.addHandlers({
    added: (node) => {
      if (noExecute(node).length > 0) enqueuePods(node);
    },
    updated: (before, after) => {
      if (!equal(noExecute(before), noExecute(after))) enqueuePods(after);
    },
  });
  return worker;

  async function sync(key: string): Promise<void> {
    const pod = podInformer.get(key);
    if (pod === undefined || !pod.spec.nodeName || pod.metadata.deletionTimestamp !== undefined) return;
    const taints = noExecute(nodeInformer.get(pod.spec.nodeName));
    const nowMs = clock.now();
    const seenMs = waiting.get(key) ?? nowMs;
    const createdMs = parseTime(pod.metadata.creationTimestamp) || 0;
    const dueMs = evictionTimeMs(pod.spec.tolerations ?? [], taints, nowMs, { seenMs, createdMs });
    if (dueMs === undefined) {
      if (waiting.delete(key)) events.event(pod, 'Normal', 'TaintManagerEviction', `Cancelling deletion of Pod ${key}`);
      return;
    }
    if (dueMs > nowMs) {
      waiting.set(key, seenMs);
      queue.addAfter(key, dueMs - nowMs);
      return;
    }
    waiting.delete(key);
    events.event(pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${key}`);
    await markDisrupted(
      { client, clock },
      pod,
      'DeletionByTaintManager',
      'Taint manager: deleting due to NoExecute taint',
    );
    const { namespace, name } = splitKey(key);
    await orNotFound(
      client
        .withCause(`node ${pod.spec.nodeName} has a taint that ${key} does not tolerate`)
        .resource<Pod>(pods, namespace)
        .delete(name, { preconditions: { uid: pod.metadata.uid! } }),
    );
  }
}

function noExecute(node: Node | undefined): readonly Taint[] {
  return (node?.spec?.taints ?? []).filter(({ effect }) => effect === 'NoExecute');
}

/**
 * When a pod has to go, in milliseconds since 1970; undefined for never. A taint that nobody tolerates: now. Of limited tolerations
 * the shortest counts: from when its taint was added, or the pod was created if that was later. Who taints by hand does not say when;
 * such a taint counts from when the pod was first seen under it, and not anew at every look.
 */
export function evictionTimeMs(
  tolerations: readonly Toleration[],
  taints: readonly Taint[],
  nowMs: number,
  { seenMs = nowMs, createdMs = 0 }: { readonly seenMs?: number; readonly createdMs?: number } = {},
): number | undefined {
  let dueMs: number | undefined;
  for (const taint of taints) {
    const matching = tolerations.filter((toleration) => tolerates(toleration, taint));
    if (matching.length === 0) return nowMs;
    const addedMs = parseTime(taint.timeAdded);
    for (const { tolerationSeconds } of matching) {
      if (tolerationSeconds === undefined) continue;
      // The pod's time is another machine's: later than when it was seen it cannot be.
      const sinceMs = Number.isNaN(addedMs) ? seenMs : Math.max(addedMs, Math.min(createdMs, seenMs));
      const untilMs = sinceMs + Math.max(0, tolerationSeconds) * 1000;
      dueMs = Math.min(dueMs ?? untilMs, untilMs);
    }
  }
  return dueMs;
}

function tolerates({ key = '', operator = 'Equal', value = '', effect = '' }: Toleration, taint: Taint): boolean {
  if (effect !== '' && effect !== taint.effect) return false;
  if (key !== '' && key !== taint.key) return false;
  return operator === 'Exists' || ((operator === 'Equal' || operator === '') && value === (taint.value ?? ''));
}
