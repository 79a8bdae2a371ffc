/**
 * The node lifecycle controller: notices nodes that fell silent, says so in their conditions, and keeps the taints that conditions
 * call for. Upstream's pkg/controller/nodelifecycle in duty, events and reasons; event-driven, with one timer a node.
 */
import { formatTime } from '#kube-client/time.ts';
import { type Lease, leases } from '#kube-client/types/coordination.ts';
import { type Node, nodes, type Pod, pods } from '#kube-client/types/core.ts';
import { type ControllerContext, createWorker, orNotFound } from '../controller.ts';
import { isPodReady } from '../pods/pod-state.ts';
import { conditionOf, isNodeReady, lostConditions, mayEvictFrom, wantedTaints } from './taints.ts';

/** A node that neither renewed its lease nor posted its status for this long is lost. */
export const gracePeriodMs = 50_000;
/** A node that has never said anything gets longer. */
export const startupGracePeriodMs = 60_000;
/** Pods are evicted from at most one more lost node in this time. */
export const evictionIntervalMs = 10_000;

export const podsByNodeIndex = 'node';

export function startNodeLifecycleController(context: ControllerContext): { run(): void } {
  const { informers, client, events, clock } = context;
  const informer = informers.informer<Node>(nodes);
  const leaseInformer = informers.informer<Lease>(leases, { namespace: 'kube-node-lease' });
  const podInformer = informers.informer<Pod>(pods);
  const worker = createWorker(context, sync, 4);
  const { queue } = worker;
  /** When a node was last heard of, by our own monotonic clock: nodes' clocks may be wrong. */
  const heardMs = new Map<string, number>();
  let lastEvictionMs = Number.NEGATIVE_INFINITY;

  podInformer.addIndex(podsByNodeIndex, ({ spec }) => (spec.nodeName ? [spec.nodeName] : []));
  const heard = (name: string) => heardMs.set(name, clock.monotonicMs());
  informer.addHandlers({
    added(node) {
      const { name } = node.metadata;
      heard(name);
      events.event(
        { kind: 'Node', apiVersion: 'v1', name, uid: node.metadata.uid ?? name },
        'Normal',
        'RegisteredNode',
        `Node ${name} event: Registered Node ${name} in Controller`,
      );
      queue.add(name);
    },
    updated(before, after) {
      const { name } = after.metadata;
      const beat = (node: Node) => conditionOf(node, 'Ready')?.lastHeartbeatTime;
      if (beat(before) !== beat(after) && conditionOf(after, 'Ready')?.status !== 'Unknown') heard(name);
      queue.add(name);
      // What may be evicted depends on all of them.
      if (isNodeReady(before) !== isNodeReady(after))
        for (const { metadata } of informer.list()) queue.add(metadata.name);
    },
    deleted(node) {
      const { name } = node.metadata;
      heardMs.delete(name);
      events.event(
        { kind: 'Node', apiVersion: 'v1', name, uid: node.metadata.uid ?? name },
        'Normal',
        'RemovingNode',
        `Node ${name} event: Removing Node ${name} from Controller`,
      );
    },
  });
  leaseInformer.addHandlers({
    updated: (before, after) => {
      if (before.spec?.renewTime !== after.spec?.renewTime) heard(after.metadata.name);
    },
    added: ({ metadata }) => heard(metadata.name),
  });
  return worker;

  async function sync(name: string): Promise<void> {
    let node = informer.get(name);
    if (node === undefined) return;
    const nowMs = clock.monotonicMs();
    const grace = conditionOf(node, 'Ready') === undefined ? startupGracePeriodMs : gracePeriodMs;
    const dueMs = (heardMs.get(name) ?? nowMs) + grace;
    const resource = client.withCause(`node ${name}: its conditions`).resource<Node>(nodes);
    if (nowMs < dueMs) queue.addAfter(name, dueMs - nowMs + 1);
    else {
      const conditions = lostConditions(node, formatTime(clock.now()));
      if (conditions !== undefined) {
        node = await orNotFound(resource.updateStatus({ ...node, status: { ...node.status, conditions } }));
        if (node === undefined) return;
      }
    }
    if (conditionOf(node, 'Ready') !== undefined && !isNodeReady(node)) await markPodsNotReady(node);
    await applyTaints(node);
  }

  async function applyTaints(node: Node): Promise<void> {
    const { name, resourceVersion } = node.metadata;
    const nowMs = clock.monotonicMs();
    let mayEvict = mayEvictFrom(node, informer.list());
    const now = formatTime(clock.now());
    const evicted = node.spec?.taints?.some(
      ({ key, effect }) => effect === 'NoExecute' && key.startsWith('node.kubernetes.io/'),
    );
    if (mayEvict && !evicted && !isNodeReady(node) && nowMs - lastEvictionMs < evictionIntervalMs) {
      mayEvict = false;
      queue.addAfter(name, evictionIntervalMs - (nowMs - lastEvictionMs));
    }
    const taints = wantedTaints(node, mayEvict, now);
    if (taints === undefined) return;
    if (!evicted && taints.some(({ effect, timeAdded }) => effect === 'NoExecute' && timeAdded === now))
      lastEvictionMs = nowMs;
    await orNotFound(
      client
        .withCause(`node ${name}: taints that its conditions call for`)
        .resource<Node>(nodes)
        .patch(name, 'merge', {
          metadata: { resourceVersion },
          spec: { taints: taints.length === 0 ? null : taints },
        }),
    );
  }

  /** What nobody can reach is not ready, whatever it said last. */
  async function markPodsNotReady(node: Node): Promise<void> {
    const { name } = node.metadata;
    const ready = podInformer.byIndex(podsByNodeIndex, name).filter(isPodReady);
    if (ready.length === 0 || conditionOf(node, 'Ready')?.status === 'False') return;
    events.event(
      { kind: 'Node', apiVersion: 'v1', name, uid: node.metadata.uid ?? name },
      'Normal',
      'NodeNotReady',
      `Node ${name} status is now: NodeNotReady`,
    );
    const lastTransitionTime = formatTime(clock.now());
    for (const pod of ready) {
      const conditions = pod.status!.conditions!.map((condition) =>
        condition.type === 'Ready' ? { ...condition, status: 'False', lastTransitionTime } : condition,
      );
      await orNotFound(
        client
          .withCause(`node ${name} is not ready`)
          .resource<Pod>(pods, pod.metadata.namespace)
          .updateStatus({ ...pod, status: { ...pod.status, conditions } }),
      );
      events.event(pod, 'Warning', 'NodeNotReady', 'Node is not ready');
    }
  }
}
