/** For tests: a real apiserver on a real etcd in memory, with clients for any user, and a wait for what comes to be. */
import { administrator, clientFactory, identityOf } from '#cluster/identities.ts';
import { startEtcd } from '#etcd/start.ts';
import { systemClock } from '#host/clock.ts';
import { startApiserver } from '#kube-apiserver/start.ts';
import type { KubeClient } from '#kube-client/client.ts';
import { createInformerFactory } from '#kube-client/informer-factory.ts';
import { namespaces, type Pod, pods, serviceAccounts } from '#kube-client/types/core.ts';
import { createServiceAccountKey } from '#pki/service-account-key.ts';
import { createTokenSigner } from '#pki/token-signer.ts';
import type { Clock } from '#std/clock.ts';
import { seededPrng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import type { HttpHandler } from '#transport/http.ts';
import { startControllers } from './start.ts';

export interface ControlPlane extends AsyncDisposable {
  readonly scope: Scope;
  readonly handler: HttpHandler;
  readonly admin: KubeClient;
  clientOf(user: string): KubeClient;
  /** What the controllers said. */
  readonly log: string[];
}

export async function startControlPlane(): Promise<ControlPlane> {
  const scope = new Scope();
  const clock = systemClock;
  const silent = () => {};
  const etcd = scope.use(await startEtcd({ config: {}, deps: { clock, prng: seededPrng(1), log: silent } }));
  const { privateKey } = await createServiceAccountKey();
  const server = scope.use(
    await startApiserver({
      config: {
        externalAddress: '127.0.0.1:6443',
        advertiseAddress: '127.0.0.1',
        advertisePort: 6443,
        serviceAccountIssuer: 'https://kubernetes.default.svc.cluster.local',
        serviceClusterIpRange: '10.96.0.0/16',
        version: 'v1.36.3+wherry.test',
      },
      deps: {
        etcd: scope.use(etcd.connect()),
        clock,
        prng: seededPrng(2),
        signer: await createTokenSigner({ privateKey }, { clock }),
        dialKubelet: () => undefined,
        log: silent,
      },
    }),
  );
  const client = clientFactory(server.handler, { clock, prng: seededPrng(3) });
  const clientOf = (user: string) => client(identityOf(user));
  return {
    handler: server.handler,
    log: [],
    scope,
    clientOf,
    admin: client(administrator),
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

/** Asks again and again until the answer is not undefined. Rejects after `timeoutMs` with what `describe` tells. */
export async function eventually<T>(
  ask: () => Promise<T | undefined>,
  describe: () => unknown = () => undefined,
  timeoutMs = 5000,
): Promise<T> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > untilMs) throw new Error(`did not come to be: ${JSON.stringify(await describe())}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Says of every pod that it runs and is ready, as a node would. Pods that the predicate refuses stay as they are. */
export function runPods(plane: ControlPlane, mayRun: (pod: Pod) => boolean = () => true): void {
  const { admin, scope } = plane;
  const informers = scope.use(
    createInformerFactory({ client: admin, clock: systemClock, prng: seededPrng(5), log: () => {} }),
  );
  const run = (pod: Pod) => {
    if (pod.metadata.deletionTimestamp !== undefined || pod.status?.phase === 'Running' || !mayRun(pod)) return;
    const status = {
      ...pod.status,
      phase: 'Running',
      podIP: '10.244.0.9',
      podIPs: [{ ip: '10.244.0.9' }],
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }],
    };
    // A conflict or a deletion comes back through the informer.
    admin
      .resource<Pod>(pods, pod.metadata.namespace)
      .updateStatus({ ...pod, status })
      .catch(() => {});
  };
  informers.informer<Pod>(pods).addHandlers({ added: run, updated: (_, pod) => run(pod) });
}

/** A control plane whose controllers run. */
export async function startControlled(clock: Clock = systemClock): Promise<ControlPlane> {
  const plane = await startControlPlane();
  const controllers = plane.scope.use(
    startControllers({
      config: { identity: 'one', rootCa: 'PEM' },
      deps: { clients: plane.clientOf, clock, prng: seededPrng(4), log: (message) => plane.log.push(message) },
    }),
  );
  await controllers.ready;
  return plane;
}

/** A namespace in which pods may be made: its default account is there. */
export async function makeNamespace({ admin }: ControlPlane, name: string): Promise<void> {
  await admin.resource(namespaces).create({ metadata: { name } });
  await eventually(() =>
    admin
      .resource(serviceAccounts, name)
      .get('default')
      .catch(() => undefined),
  );
}
