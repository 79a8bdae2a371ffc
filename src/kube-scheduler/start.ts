/** Starts the scheduler: one lease, informers of nodes and pods, the default profile. Opens no port. */
import type { KubeClient } from '#kube-client/client.ts';
import { createEventRecorder } from '#kube-client/event-recorder.ts';
import { createInformerFactory } from '#kube-client/informer-factory.ts';
import { runLeaderElected } from '#kube-client/leader-election.ts';
import { keyOf } from '#kube-client/resource-ref.ts';
import { type Namespace, type Node, namespaces, nodes, type Pod, pods } from '#kube-client/types/core.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import { ClusterCache } from './cluster-cache.ts';
import { defaultBinder } from './plugins/default-binder.ts';
import { defaultPlugins } from './plugins/default-plugins.ts';
import { SchedulingQueue } from './queue.ts';
import { Scheduler } from './scheduler.ts';
import { type Verdict, Verdicts } from './verdicts.ts';

export interface SchedulerConfig {
  /** This candidate among several: host name and a random part. */
  readonly identity: string;
  /** Pods of other schedulers are left alone. Default `default-scheduler`. */
  readonly schedulerName?: string;
  /** False runs without a lease: for the only control plane there is. Default true. */
  readonly leaderElect?: boolean;
}

export interface SchedulerDeps {
  /** As `system:kube-scheduler`. */
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (message: string) => void;
}

export interface RunningScheduler extends AsyncDisposable {
  /** Settles once pods are being scheduled: at once for a leader, else when the lease is won. */
  readonly ready: Promise<void>;
  /** The last decision about a pod, by `namespace/name`. */
  explain(pod: string): Verdict | undefined;
}

export function startScheduler({
  config,
  deps,
}: {
  readonly config: SchedulerConfig;
  readonly deps: SchedulerDeps;
}): RunningScheduler {
  const { client, clock, prng, log } = deps;
  const scope = new Scope();
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => {});
  const verdicts = new Verdicts();
  const lead = (signal: AbortSignal) => run(config, deps, verdicts, signal, () => ready.resolve());
  scope.run(
    (signal) =>
      config.leaderElect === false
        ? lead(signal)
        : runLeaderElected(
            {
              client,
              namespace: 'kube-system',
              name: 'kube-scheduler',
              identity: config.identity,
              clock,
              prng,
              log,
              signal,
            },
            lead,
          ),
    (error) => {
      ready.reject(error);
      log(`scheduler ended: ${error instanceof Error ? error.message : error}`);
    },
  );
  scope.defer(() => ready.reject(new Error('the scheduler is closed')));
  return {
    ready: ready.promise,
    explain: (pod) => verdicts.get(pod),
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

async function run(
  { schedulerName = 'default-scheduler' }: SchedulerConfig,
  { client, clock, prng, log }: SchedulerDeps,
  verdicts: Verdicts,
  signal: AbortSignal,
  onReady: () => void,
): Promise<void> {
  await using scope = new Scope();
  const informers = scope.use(createInformerFactory({ client, clock, prng, log }));
  const events = scope.use(createEventRecorder({ client, clock, component: schedulerName, log }));
  const plugins = [...defaultPlugins, defaultBinder(client)];
  const cache = new ClusterCache();
  let synced = false;
  const queue = scope.use(
    new SchedulingQueue(clock, plugins, () => {
      if (synced) scheduler.wake();
    }),
  );
  // Finished pods hold nothing.
  const podInformer = informers.informer<Pod>(pods, {
    fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed',
  });
  const scheduler = new Scheduler({
    client,
    events,
    cache,
    queue,
    plugins,
    verdicts,
    clock,
    prng,
    log,
    stillWanted: (pod) => {
      const now = podInformer.get(keyOf(pod));
      return now?.metadata.uid === pod.metadata.uid && !now?.spec.nodeName;
    },
  });
  scope.defer(() => scheduler.close());

  informers.informer<Node>(nodes).addHandlers({
    added(node) {
      cache.setNode(node);
      queue.changed({ kind: 'NodeAdded', node });
    },
    updated(before, after) {
      cache.setNode(after);
      if (matters(before, after)) queue.changed({ kind: 'NodeUpdated', before, after });
    },
    deleted: ({ metadata }) => cache.removeNode(metadata.name),
  });
  informers.informer<Namespace>(namespaces).addHandlers({
    added: ({ metadata }) => cache.setNamespace(metadata.name, metadata.labels ?? {}),
    updated: (_, { metadata }) => cache.setNamespace(metadata.name, metadata.labels ?? {}),
    deleted: ({ metadata }) => cache.removeNamespace(metadata.name),
  });
  const seen = (pod: Pod) => {
    if (pod.spec.nodeName) {
      queue.remove(keyOf(pod));
      cache.setPod(pod);
    } else if ((pod.spec.schedulerName ?? 'default-scheduler') !== schedulerName) return;
    else if (pod.metadata.deletionTimestamp !== undefined) queue.remove(keyOf(pod));
    else if (!cache.isPlaced(pod)) queue.put(pod);
  };
  podInformer.addHandlers({
    added: seen,
    updated(before, after) {
      // What the scheduler itself wrote into the status is no news.
      if (!before.spec.nodeName && equal(withoutStatus(before), withoutStatus(after))) {
        queue.refresh(after);
        return;
      }
      seen(after);
      if (after.spec.nodeName && (!before.spec.nodeName || !equal(before.metadata.labels, after.metadata.labels)))
        queue.changed({ kind: 'AssignedPodAdded', pod: after });
    },
    deleted(pod) {
      // One that was placed and not bound yet held room too.
      const heldRoom = pod.spec.nodeName !== undefined || cache.isPlaced(pod);
      queue.remove(keyOf(pod));
      cache.forgetNomination(keyOf(pod));
      cache.removePod(keyOf(pod));
      if (heldRoom) queue.changed({ kind: 'AssignedPodDeleted', pod });
    },
  });
  await Promise.race([informers.synced(), aborted(signal)]);
  if (!signal.aborted) {
    synced = true;
    scheduler.wake();
    onReady();
  }
  await aborted(signal);
}

/** Heartbeats do not. */
function matters(before: Node, after: Node): boolean {
  return (
    !equal(before.spec, after.spec) ||
    !equal(before.metadata.labels, after.metadata.labels) ||
    !equal(before.status?.allocatable, after.status?.allocatable)
  );
}

function withoutStatus({ spec, metadata }: Pod): unknown {
  const { resourceVersion: _, ...rest } = metadata;
  return { spec, metadata: rest };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
