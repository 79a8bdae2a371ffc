/**
 * The test kit: a whole cluster in this process, in memory, on a clock that the test moves. Everything is the product's own code; only the
 * node's containers are records.
 *
 *     await using cluster = await Cluster.start({ clock: 'virtual', seed: 1 });
 *     await cluster.client.resource(deployments, 'default').create({ ... });
 *     await cluster.advance('1h');
 */
import { type ControlPlane, startControlPlane } from '#cluster/control-plane.ts';
import { type HollowNode, startHollowNode } from '#cluster/hollow-node.ts';
import { administrator, identityOf } from '#cluster/identities.ts';
import { type KubeconfigEntry, kubeconfigText } from '#cluster/kubeconfig.ts';
import { type Etcd, startEtcd } from '#etcd/start.ts';
import type { Scripts } from '#hollow/script.ts';
import { systemClock } from '#host/clock.ts';
import type { Disk } from '#host/disk.ts';
import { drainIo } from '#host/event-loop.ts';
import { systemPrng } from '#host/random.ts';
import type { KubeClient } from '#kube-client/client.ts';
import type { Version } from '#mvcc/version.ts';
import { type CertificateAuthority, createAuthority } from '#pki/certificate-authority.ts';
import { createServiceAccountKey } from '#pki/service-account-key.ts';
import type { Clock } from '#std/clock.ts';
import { OneTimerClock } from '#std/one-timer-clock.ts';
import { type Prng, randomBytes, seededPrng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { listen } from '#transport/listen.ts';
import { durationMs } from './duration.ts';
import { Trace, type Write } from './trace.ts';

export interface ClusterOptions {
  /** `hollow` (default): one node whose containers are records; `none`: the control plane alone. */
  readonly node?: 'hollow' | 'none';
  /**
   * `virtual`: time stands still but for `advance`. Default `real`. A clock that is given stays the giver's: clusters that are given one live in
   * one time, advancing one of them advances all, and neither their start nor their end moves it or cancels what others have on it.
   */
  readonly clock?: 'virtual' | 'real' | Clock;
  /**
   * Everything random comes from it: on the virtual clock the same seed and the same test give the same history, to the byte. Drawn when left
   * out; `cluster.seed` tells it.
   */
  readonly seed?: number;
  /** Keeps the store in `/etcd` of this disk, so that another cluster can go on from there. In memory only by default; no forks with it. */
  readonly disk?: Disk;
  /** What containers do, by image. */
  readonly scripts?: Scripts;
  /** Told of every committed write, in order: what differs between two runs shows here first. */
  readonly onWrite?: (write: Write) => void;
  /** Problems that no caller waits for; dropped by default. */
  readonly log?: (message: string, error?: unknown) => void;
}

/** What a cluster stands on. */
interface Base {
  readonly options: ClusterOptions;
  readonly seed: number;
  readonly etcd: Etcd;
  readonly clock: Clock;
  /** The cluster made it, and nobody else has it. */
  readonly ownsClock: boolean;
  readonly prng: Prng;
  readonly keys: Keys;
  readonly trace: Trace;
}

interface Keys {
  readonly authority: CertificateAuthority;
  /** PEM. */
  readonly serviceAccount: string;
}

const nodeName = 'hollow-0';
const podCidr = '10.244.0.0/16';
const serviceCidr = '10.96.0.0/16';
const clusterDomain = 'cluster.local';
const version = 'v1.36.3+wherry.test';

export class Cluster implements AsyncDisposable {
  /** The administrator's. */
  readonly client: KubeClient;
  /** What makes this run again. */
  readonly seed: number;
  readonly #options: ClusterOptions;
  readonly #scope: Scope;
  readonly #etcd: Etcd;
  readonly #control: ControlPlane;
  readonly #clock: Clock;
  readonly #keys: Keys;
  readonly #trace: Trace;
  readonly #forkSeeds: Prng;

  private constructor({ options, seed, etcd, clock, keys, trace }: Base, scope: Scope, control: ControlPlane) {
    this.#options = options;
    this.#scope = scope;
    this.#etcd = etcd;
    this.#control = control;
    this.#clock = clock;
    this.#keys = keys;
    this.#trace = trace;
    // A stream of their own: forking changes nothing in the cluster that is forked.
    this.#forkSeeds = seededPrng(~seed);
    this.seed = seed;
    this.client = control.client(administrator);
  }

  /** Resolves when the API serves and the node is registered. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const { clock, ownsClock } = clockOf(options.clock ?? 'real');
    const seed = options.seed ?? systemPrng().uint32();
    const prng = seededPrng(seed);
    const repeats = options.seed !== undefined || clock instanceof VirtualClock;
    const log = options.log ?? (() => {});
    const trace = new Trace(options.onWrite);
    const [authority, { privateKey }] = await Promise.all([
      createAuthority(
        { commonName: 'kubernetes', ...(repeats && { keyBytes: randomBytes(prng, 32) }) },
        { clock, prng },
      ),
      createServiceAccountKey(),
    ]);
    const onChanges = (changes: readonly Version[]) => trace.add(changes);
    const { disk } = options;
    const etcd = await startEtcd({
      config: { ...(disk && { dataDir: '/etcd' }) },
      deps: { clock, prng, log, onChanges, ...(disk && { disk }) },
    });
    const keys = { authority, serviceAccount: privateKey };
    return Cluster.#on({ options, seed, etcd, clock, ownsClock, prng, keys, trace });
  }

  static async #on(base: Base): Promise<Cluster> {
    const { options, etcd, clock, ownsClock, prng, keys } = base;
    const scope = new Scope();
    if (ownsClock && clock instanceof OneTimerClock) scope.use(clock);
    scope.use(etcd);
    const log = options.log ?? (() => {});
    const settled = <T>(starting: Promise<T>) =>
      ownsClock && clock instanceof VirtualClock ? whileTimePasses(clock, starting) : starting;
    try {
      let node: HollowNode | undefined;
      const starting = startControlPlane(
        {
          etcd: etcd.connect(),
          etcdDir: undefined,
          externalAddress: '127.0.0.1:6443',
          advertiseAddress: '127.0.0.1',
          advertisePort: 6443,
          serviceClusterIpRange: serviceCidr,
          clusterDomain,
          version,
          ca: keys.authority.certificate,
          serviceAccountKey: keys.serviceAccount,
        },
        { clock, prng, log, phase: () => {}, dialKubelet: (name) => (name === nodeName ? node?.kubelet : undefined) },
      );
      const control = scope.use(await settled(starting));
      if (options.node !== 'none') {
        node = scope.use(
          await settled(
            startHollowNode(
              {
                nodeName,
                podCidr,
                nodeIp: '127.0.0.1',
                clusterDns: '10.96.0.10',
                clusterDomain,
                version,
                scripts: options.scripts ?? (() => undefined),
              },
              { clock, prng, client: control.client(identityOf(`system:node:${nodeName}`)), log },
            ),
          ),
        );
      }
      return new Cluster(base, scope, control);
    } catch (error) {
      await scope[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Wall time of the cluster in ms. */
  now(): number {
    return this.#clock.now();
  }

  /** Clients of other users, for what RBAC lets them. */
  clientAs(user: string): KubeClient {
    return this.#control.client(identityOf(user));
  }

  /** Moves time on (`90s`, `1h30m`, milliseconds), with everything that happens on the way. Only on the virtual clock. */
  async advance(duration: string | number): Promise<void> {
    if (!(this.#clock instanceof VirtualClock)) throw new Error("advance needs { clock: 'virtual' }");
    await this.#clock.advance(durationMs(duration), drainIo);
  }

  /** Lets everything that is under way come to rest without moving time. */
  settle(): Promise<void> {
    return drainIo();
  }

  /**
   * Another cluster with the same objects, from now on its own. Time goes on from the same moment: virtual time on a clock of its own, a clock
   * of another kind that was given is the fork's, too. Pods start anew on its node.
   */
  async fork(): Promise<Cluster> {
    const { clock, ownsClock } =
      this.#clock instanceof VirtualClock
        ? { clock: new VirtualClock(this.#clock.now()), ownsClock: true }
        : clockOf(this.#options.clock ?? 'real');
    const seed = this.#forkSeeds.uint32();
    const prng = seededPrng(seed);
    const log = this.#options.log ?? (() => {});
    const trace = this.#trace.fork();
    const onChanges = (changes: readonly Version[]) => trace.add(changes);
    const etcd = this.#etcd.fork({ clock, prng, log, onChanges });
    return Cluster.#on({ options: this.#options, seed, etcd, clock, ownsClock, prng, keys: this.#keys, trace });
  }

  /**
   * SHA-256 in hex of every committed write so far, in order: revision, key and value. On the virtual clock, runs of the same seed and the same
   * test have the same hash.
   */
  traceHash(): string {
    return this.#trace.digest();
  }

  /** Serves the API on a port of loopback, for clients outside. @returns a kubeconfig's text */
  async listen(): Promise<string> {
    const [server, admin] = await Promise.all([
      this.#keys.authority.issue({
        commonName: 'kube-apiserver',
        ipAddresses: ['127.0.0.1'],
        dnsNames: ['localhost'],
        usages: ['server'],
      }),
      this.#keys.authority.issue({
        commonName: 'kubernetes-admin',
        organizations: ['system:masters'],
        usages: ['client'],
      }),
    ]);
    const listener = this.#scope.use(
      await listen({
        address: { host: '127.0.0.1', port: 0 },
        tls: { ...server, clientCa: this.#keys.authority.certificate },
        handler: this.#control.apiserver.handler,
      }),
    );
    const entry: KubeconfigEntry = {
      name: 'wherry-test',
      server: `https://127.0.0.1:${listener.port}`,
      ca: this.#keys.authority.certificate,
      certificate: admin.certificate,
      key: admin.key,
    };
    return kubeconfigText(entry);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope[Symbol.asyncDispose]();
  }
}

/** A cluster in real time keeps one timer, the next that is due, whatever it waits for. */
function clockOf(clock: 'virtual' | 'real' | Clock): Pick<Base, 'clock' | 'ownsClock'> {
  if (typeof clock !== 'string') return { clock, ownsClock: false };
  return { clock: clock === 'virtual' ? new VirtualClock() : new OneTimerClock(systemClock), ownsClock: true };
}

/** On a virtual clock nobody waits for a timer that no one moves: time passes while the cluster starts. */
async function whileTimePasses<T>(clock: VirtualClock, starting: Promise<T>): Promise<T> {
  let done = false;
  const finished = starting.finally(() => {
    done = true;
  });
  finished.catch(() => {});
  while (!done) {
    await drainIo();
    if (!done) await clock.advance(stepMs, drainIo);
  }
  return finished;
}

const stepMs = 10;
