/**
 * One control plane of several, in a process of its own: a member of etcd whose log the others share, an apiserver that calls that member in memory, and a
 * candidate each for the leases of controllers and scheduler. Its siblings are other processes like it; it knows them by the layout alone.
 */

import { httpPeerTransport } from '#etcd/peers/http-transport.ts';
import { type Etcd, startEtcd } from '#etcd/start.ts';
import { createEtcdClient } from '#etcd-client/client.ts';
import { hostDisk } from '#host/disk.ts';
import { makeFolder, readIfThere, removeTree } from '#host/files.ts';
import { lockFile } from '#host/lock-file.ts';
import type { Channel } from '#rpc/call.ts';
import { utf8Encode } from '#std/bytes.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { type Scope, startInScope } from '#std/scope.ts';
import { listen } from '#transport/listen.ts';
import { type ControlPlane, connectStore, startControlPlane } from '../control-plane.ts';
import type { ClusterPaths } from '../paths.ts';
import { readPeerCertificate, requirePair } from './component-certificates.ts';
import { FrontDoor } from './front-door.ts';
import type { ClusterLayout } from './layout.ts';
import { planePaths } from './plane-paths.ts';
import { leaseStatuses, memberStatus, type PlaneStatus } from './plane-status.ts';
import { serverControl } from './server-control.ts';

export interface ServerConfig {
  /** Of the cluster. */
  readonly clusterName: string;
  /** Of this control plane: `cp-1`. */
  readonly name: string;
  readonly paths: ClusterPaths;
  readonly layout: ClusterLayout;
  readonly version: string;
}

export interface ServerDeps {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (message: string, error?: unknown) => void;
  /** Settles when whoever runs this process wants it to end, be it on the way up. */
  readonly stopAsked?: Promise<void>;
}

export interface Server {
  /** Ends controllers, scheduler, apiserver and member, in this order. The lead goes to another member. */
  stop(): Promise<void>;
  /** Settles when somebody asked for the end. */
  readonly stopAsked: Promise<void>;
  /** Settles with why this control plane cannot go on. */
  readonly failed: Promise<unknown>;
}

export const loopback = '127.0.0.1';
const electionTimeoutMs = 1000;
/** Longer than an election takes, however the votes fall. */
const checkTimeoutMs = 3000;

/** Resolves when it serves, or was asked to end before. Needs a majority of the others. */
export function startServer(config: ServerConfig, deps: ServerDeps): Promise<Server> {
  return startInScope((scope) => start(config, deps, scope), deps.log);
}

async function start(config: ServerConfig, deps: ServerDeps, scope: Scope): Promise<Server> {
  const { name, paths, layout, version } = config;
  const { clock, log } = deps;
  const own = planePaths(paths, name);
  await makeFolder(paths.run, 0o700);
  // Before anything that one which runs already has made.
  scope.use(await lockFile(own.lock));
  const stopAsked = Promise.withResolvers<void>();
  void deps.stopAsked?.then(stopAsked.resolve);
  let phase: PlaneStatus['phase'] = 'starting';
  let etcd: Etcd | undefined;
  let control: ControlPlane | undefined;
  let door: FrontDoor | undefined;
  const retire = async () => {
    phase = 'stopping';
    await control?.retire();
  };
  await removeTree(own.controlSocket);
  scope.use(
    await listen({
      address: { path: own.controlSocket },
      handler: serverControl({
        status: () => ({
          ...{ name, pid: process.pid, version, phase, open: door?.isOpen ?? false },
          ...(etcd && { member: memberStatus(etcd) }),
          leases: control === undefined ? [] : leaseStatuses(control.apiserver.reader),
        }),
        control: () => control,
        retire,
        stop: () => stopAsked.resolve(),
        log,
      }),
    }),
  );

  let failed: Promise<unknown> = new Promise(() => {});
  if (layout.etcdServers === undefined) {
    etcd = await startMember(config, deps, scope);
    ({ failed } = etcd);
  }
  const server: Server = {
    failed,
    stopAsked: stopAsked.promise,
    async stop() {
      await retire();
      await scope[Symbol.asyncDispose]();
    },
  };
  // Without a majority of the others there may be nothing to wait for but this.
  const endAsked = Promise.race([failed, stopAsked.promise]).then(() => 'end' as const);
  let channel: Channel;
  if (etcd === undefined) channel = connectStore(layout.etcdServers!, clock);
  else {
    if ((await Promise.race([etcd.ready, endAsked])) === 'end') return server;
    await removeTree(own.etcdSocket);
    const { dispatcher, untaken } = etcd;
    scope.use(await listen({ address: { path: own.etcdSocket }, handler: etcd.http, dispatcher, untaken }));
    channel = etcd.connect();
  }
  scope.use(channel);
  const [ca, serviceAccountKey, apiserver, kubeletClient] = await Promise.all([
    readText(paths, 'ca.crt'),
    readText(paths, 'sa.key'),
    requirePair(paths.pki, 'apiserver'),
    requirePair(paths.pki, 'apiserver-kubelet-client'),
  ]);
  const starting = startControlPlane(
    {
      etcd: channel,
      etcdDir: undefined,
      externalAddress: `${loopback}:${layout.port}`,
      advertiseAddress: layout.nodeIp,
      advertisePort: layout.port,
      serviceClusterIpRange: layout.serviceCidr,
      clusterDomain: layout.clusterDomain,
      version,
      ca,
      serviceAccountKey,
      identity: name,
      kubeletClient: { ...kubeletClient, ca },
    },
    { ...deps, dialKubelet: () => undefined, phase: (part) => log(`${part} is up`) },
  );
  if ((await Promise.race([starting, endAsked])) === 'end') {
    // Whatever it asks of the store ends with this.
    await channel[Symbol.asyncDispose]();
    control = await starting.catch(() => undefined);
    if (control !== undefined) scope.use(control);
    return server;
  }
  control = scope.use(await starting);
  const store = createEtcdClient(channel, clock);
  door = scope.use(
    await FrontDoor.open({
      hosts: [...new Set([loopback, layout.nodeIp])],
      port: layout.port,
      tls: { ...apiserver, clientCa: ca },
      handler: control.apiserver.handler,
      check: async () => {
        await store.range({ key: checkKey }, { timeoutMs: checkTimeoutMs });
      },
      clock,
      log,
    }),
  );
  phase = 'ready';
  log('ready');
  return server;
}

async function readText({ pki }: ClusterPaths, name: string): Promise<string> {
  const bytes = await readIfThere(`${pki}/${name}`);
  if (bytes === undefined) throw new Error(`${pki}/${name} is not there`);
  return bytes.toString('utf8');
}

/** Linearizable reads of it tell whether there is a quorum, and whether this member has caught up with it. */
const checkKey = utf8Encode('/registry/health');

async function startMember(
  { clusterName, name, paths, layout }: ServerConfig,
  { clock, prng, log }: ServerDeps,
  scope: Scope,
): Promise<Etcd> {
  const own = planePaths(paths, name);
  const { ca, certificate, key } = await readPeerCertificate(paths.pki, name);
  const urlOf = (port: number) => `https://${loopback}:${port}`;
  const initialCluster = layout.controlPlanes.map((plane) => ({
    name: plane.name,
    peerUrls: [urlOf(plane.peerPort!)],
  }));
  const port = layout.controlPlanes.find((plane) => plane.name === name)!.peerPort!;
  const say = (message: string) => log(`etcd: ${message}`);
  const peers = scope.use(
    httpPeerTransport({
      ...{ clock, peerUrls: [urlOf(port)], electionTimeoutMs, log: say },
      tls: { ca, certificate, key },
    }),
  );
  scope.use(
    await listen({
      address: { host: loopback, port },
      tls: { certificate, key, clientCa: ca, requireClientCertificate: true },
      handler: peers.handler,
    }),
  );
  return scope.use(
    await startEtcd({
      config: {
        name,
        dataDir: own.etcd,
        peerUrls: [urlOf(port)],
        clientUrls: [`unix://${own.etcdSocket}`],
        initialCluster,
        clusterToken: clusterName,
        electionTimeoutMs,
      },
      deps: { clock, prng, disk: hostDisk, peers, log: say },
    }),
  );
}
