/** One control plane in this process: etcd (or somebody's), the apiserver on it, controllers and scheduler as its clients. */
import { startEtcd } from '#etcd/start.ts';
import { hostDisk } from '#host/disk.ts';
import { type Apiserver, startApiserver } from '#kube-apiserver/start.ts';
import type { KubeClient } from '#kube-client/client.ts';
import { startControllers } from '#kube-controllers/start.ts';
import { startScheduler } from '#kube-scheduler/start.ts';
import { createTokenSigner } from '#pki/token-signer.ts';
import type { Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { Scope, startInScope } from '#std/scope.ts';
import { parseTarget } from '#transport/dial.ts';
import type { HttpHandler } from '#transport/http.ts';
import { clientFactory, type Identity, identityOf } from './identities.ts';

export interface ControlPlaneConfig {
  /** A store that runs already, closed by the control plane; else one of the two below. */
  readonly etcd?: Channel;
  /** Address of somebody's etcd (`http://127.0.0.1:2379`); ours when left out. */
  readonly etcdServer?: string | undefined;
  /** Folder of our etcd; undefined keeps everything in memory. */
  readonly etcdDir: string | undefined;
  readonly externalAddress: string;
  readonly advertiseAddress: string;
  readonly advertisePort: number;
  readonly serviceClusterIpRange: string;
  readonly clusterDomain: string;
  readonly version: string;
  /** PEM. */
  readonly ca: string;
  readonly serviceAccountKey: string;
  /** This one among several: the candidate for the leases of scheduler and controllers. Alone it need not wait for them. */
  readonly identity?: string;
  /** Reaches kubelets of other processes. PEM. */
  readonly kubeletClient?: { readonly certificate: string; readonly key: string; readonly ca: string };
}

export interface ControlPlaneDeps {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly dialKubelet: (nodeName: string) => HttpHandler | undefined;
  readonly log: (message: string, error?: unknown) => void;
  /** Told as each part is up. */
  readonly phase: (name: string) => void;
}

export interface ControlPlane extends AsyncDisposable {
  readonly apiserver: Apiserver;
  readonly client: (identity: Identity) => KubeClient;
  /** Settles with the reason when the store can write no more: a full or broken disk. */
  readonly storeFailed: Promise<unknown>;
  /** Why a pod is where it is, or nowhere. */
  readonly scheduler: ReturnType<typeof startScheduler>;
  /** Ends controllers and scheduler and gives their leases back, while the store still takes writes. */
  retire(): Promise<void>;
}

export async function startControlPlane(config: ControlPlaneConfig, deps: ControlPlaneDeps): Promise<ControlPlane> {
  return startInScope(async (scope) => {
    const { clock, prng, log, phase } = deps;
    const { channel: etcd, failed: storeFailed } = await openEtcd(config, deps, scope);
    phase('etcd');
    const apiserver = scope.use(
      await startApiserver({
        config: {
          externalAddress: config.externalAddress,
          advertiseAddress: config.advertiseAddress,
          advertisePort: config.advertisePort,
          serviceAccountIssuer: `https://kubernetes.default.svc.${config.clusterDomain}`,
          serviceClusterIpRange: config.serviceClusterIpRange,
          version: config.version,
          ...(config.kubeletClient && { kubeletClient: { ...config.kubeletClient, addressTypes: ['InternalIP'] } }),
        },
        deps: {
          etcd,
          clock,
          prng,
          signer: await createTokenSigner({ privateKey: config.serviceAccountKey }, { clock }),
          dialKubelet: deps.dialKubelet,
          log,
        },
      }),
    );
    phase('apiserver');
    const client = clientFactory(apiserver.handler, { clock, prng });
    const { identity = 'wherry' } = config;
    const elected = scope.use(new Scope());
    const controllers = elected.use(
      startControllers({
        config: { identity, rootCa: config.ca },
        deps: { clients: (user) => client(identityOf(user)), clock, prng, log },
      }),
    );
    const scheduler = elected.use(
      startScheduler({
        config: { identity },
        deps: { client: client(identityOf('system:kube-scheduler')), clock, prng, log },
      }),
    );
    if (config.identity === undefined) await Promise.all([controllers.ready, scheduler.ready]);
    phase('controllers and scheduler');
    return {
      apiserver,
      client,
      scheduler,
      storeFailed,
      retire: () => elected[Symbol.asyncDispose](),
      [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
    };
  }, deps.log);
}

async function openEtcd(
  config: ControlPlaneConfig,
  { clock, prng, log }: ControlPlaneDeps,
  scope: Scope,
): Promise<{ readonly channel: Channel; readonly failed: Promise<unknown> }> {
  if (config.etcd !== undefined) return { channel: scope.use(config.etcd), failed: never() };
  if (config.etcdServer !== undefined)
    return { channel: scope.use(connectStore(config.etcdServer, clock)), failed: never() };
  const etcd = scope.use(
    await startEtcd({
      config: { ...(config.etcdDir !== undefined && { dataDir: config.etcdDir }) },
      deps: { clock, prng, disk: hostDisk, log },
    }),
  );
  return { channel: scope.use(etcd.connect()), failed: etcd.failed };
}

/** Somebody's etcd at one address, or at any of several, with commas between them. @throws TypeError for what is no address */
export function connectStore(servers: string, clock: Clock): Channel {
  const [target, ...alternatives] = servers.split(',').map((server) => parseTarget(server));
  return connectRpc({ target: target!, alternatives, keepAlive: storeKeepAlive, clock });
}

/** A server of etcd's takes a ping every 5 seconds at most. */
const storeKeepAlive = { timeMs: 10_000, timeoutMs: 5000 };

/** Somebody else's store tells of its failures itself. */
function never(): Promise<never> {
  return new Promise(() => {});
}
