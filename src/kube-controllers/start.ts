/**
 * Starts the controller manager: one lease, one set of informers, and every controller as the user that upstream gives it. Opens no port.
 */
import type { KubeClient } from '#kube-client/client.ts';
import { createEventRecorder } from '#kube-client/event-recorder.ts';
import { createInformerFactory } from '#kube-client/informer-factory.ts';
import { runLeaderElected } from '#kube-client/leader-election.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import { startClusterRoleAggregation } from './clusterrole-aggregation/clusterrole-aggregation.ts';
import type { ControllerContext } from './controller.ts';
import { startDeploymentController } from './deployment/deployment.ts';
import { startEndpointsController } from './endpoints/endpoints.ts';
import { startEndpointSliceController } from './endpointslice/endpointslice.ts';
import { startGarbageCollector } from './garbage-collector/garbage-collector.ts';
import { startNamespaceController } from './namespace/namespace.ts';
import { startNodeLifecycleController } from './node-lifecycle/node-lifecycle.ts';
import { startPodGarbageCollector } from './pod-garbage-collector/pod-garbage-collector.ts';
import { startReplicaSetController } from './replicaset/replicaset.ts';
import { startRootCaCertificatePublisher } from './root-ca-certificate-publisher/root-ca-certificate-publisher.ts';
import { startServiceAccountController } from './serviceaccount/serviceaccount.ts';
import { startTaintEvictionController } from './taint-eviction/taint-eviction.ts';

export interface ControllersConfig {
  /** This candidate among several: host name and a random part. */
  readonly identity: string;
  /** PEM of the authority that signed the apiserver's certificate; what pods find in `kube-root-ca.crt`. */
  readonly rootCa: string;
  /** False runs without a lease: for the only control plane there is. Default true. */
  readonly leaderElect?: boolean;
}

export interface ControllersDeps {
  /** A client per user name; the caller knows the groups that go with it. */
  readonly clients: (user: string) => KubeClient;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (message: string) => void;
}

export interface Controllers extends AsyncDisposable {
  /** Settles once the controllers run, their informers filled: at once for a leader, else when the lease is won. */
  readonly ready: Promise<void>;
}

type StartController = (context: ControllerContext, config: ControllersConfig) => { run(): void };

/** By the name of the service account in kube-system. */
const controllers: Readonly<Record<string, StartController>> = {
  'service-account-controller': startServiceAccountController,
  'root-ca-cert-publisher': startRootCaCertificatePublisher,
  'namespace-controller': startNamespaceController,
  'endpointslice-controller': startEndpointSliceController,
  'endpoint-controller': startEndpointsController,
  'deployment-controller': startDeploymentController,
  'replicaset-controller': startReplicaSetController,
  'node-controller': startNodeControllers,
  'clusterrole-aggregation-controller': startClusterRoleAggregation,
  'pod-garbage-collector': startPodGarbageCollector,
  'generic-garbage-collector': startGarbageCollector,
};

/** Upstream runs both as the same user. */
function startNodeControllers(context: ControllerContext): { run(): void } {
  const started = [startNodeLifecycleController(context), startTaintEvictionController(context)];
  return {
    run() {
      for (const controller of started) controller.run();
    },
  };
}

export function startControllers({
  config,
  deps,
}: {
  readonly config: ControllersConfig;
  readonly deps: ControllersDeps;
}): Controllers {
  const { clients, clock, prng, log } = deps;
  const scope = new Scope();
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => {});
  const lead = (signal: AbortSignal) => runControllers(config, deps, signal, () => ready.resolve());
  scope.run(
    (signal) =>
      config.leaderElect === false
        ? lead(signal)
        : runLeaderElected(
            {
              client: clients('system:kube-controller-manager'),
              namespace: 'kube-system',
              name: 'kube-controller-manager',
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
      log(`controllers ended: ${error instanceof Error ? error.message : error}`);
    },
  );
  scope.defer(() => ready.reject(new Error('the controllers are closed')));
  return { ready: ready.promise, [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose]() };
}

/** Runs all controllers until the signal aborts, then takes them down. */
async function runControllers(
  config: ControllersConfig,
  { clients, clock, prng, log }: ControllersDeps,
  signal: AbortSignal,
  onReady: () => void,
): Promise<void> {
  const scope = new Scope();
  try {
    const informers = scope.use(
      createInformerFactory({ client: clients('system:kube-controller-manager'), clock, prng, log }),
    );
    const started = Object.entries(controllers).map(([name, start]) => {
      const client = clients(`system:serviceaccount:kube-system:${name}`);
      const prefixed = (message: string) => log(`${name}: ${message}`);
      const events = scope.use(createEventRecorder({ client, clock, component: name, log: prefixed }));
      return start({ informers, client, events, clock, prng, log: prefixed, scope }, config);
    });
    await Promise.race([informers.synced(), aborted(signal)]);
    if (!signal.aborted) {
      for (const controller of started) controller.run();
      onReady();
    }
    await aborted(signal);
  } finally {
    await scope[Symbol.asyncDispose]();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
