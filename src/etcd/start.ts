/**
 * Starts a member of a cluster of one: wires machine, log and services together. It opens no port; whoever wants one gives
 * `services` or `dispatcher`, and `http`, to a listener.
 */

import type { BoundService, Channel, Peer } from '#rpc/call.ts';
import { connectInMemory } from '#rpc/in-memory.ts';
import { createDispatcher, type RpcDispatcher } from '#rpc/server.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import type { HttpHandler } from '#transport/http.ts';
import { authService } from './auth/service.ts';
import { clusterService } from './cluster/service.ts';
import { etcdHttpHandler } from './http.ts';
import { singleMember } from './identity.ts';
import { kvService } from './kv/service.ts';
import { leaseService } from './lease/service.ts';
import { Machine } from './machine.ts';
import { maintenanceService } from './maintenance/service.ts';
import { Member } from './member.ts';
import { clusterVersion } from './version.ts';
import { watchService } from './watch/service.ts';

export interface EtcdConfig {
  /** Default `default`. */
  readonly name?: string;
  /** Default `http://localhost:2380`; with the token they make the member's and the cluster's id. */
  readonly peerUrls?: readonly string[];
  /** What members tell clients about themselves. Default `http://localhost:2379`. */
  readonly clientUrls?: readonly string[];
  /** Default `etcd-cluster`. */
  readonly clusterToken?: string;
  /** `--watch-progress-notify-interval`; default 10 minutes. */
  readonly progressNotifyIntervalMs?: number;
  /** `--max-request-bytes`; default 1.5 MiB. */
  readonly requestBytesMax?: number;
  /** `--max-txn-ops`; default 128. */
  readonly txnOpsMax?: number;
}

export interface EtcdDeps {
  readonly clock: Clock;
  readonly prng: Prng;
  /** What an operator should know; one line each. */
  readonly log: (message: string) => void;
}

export interface Etcd extends AsyncDisposable {
  readonly services: readonly BoundService[];
  readonly dispatcher: RpcDispatcher;
  readonly http: HttpHandler;
  /** Calls this member in the same process. The channel is the caller's to dispose. */
  connect(peer?: Peer): Channel;
  /** Another member with the same data, from now on its own; in constant time. In memory only. */
  fork(deps: EtcdDeps): Etcd;
}

const requestBytesMaxDefault = 1.5 * 1024 * 1024;
/** What gRPC may receive beyond the largest request. */
const messageOverheadBytes = 512 * 1024;

export function startEtcd({ config, deps }: { readonly config: EtcdConfig; readonly deps: EtcdDeps }): Etcd {
  const machine = new Machine();
  machine.clusterVersion = clusterVersion;
  return serve(machine, config, deps);
}

function serve(machine: Machine, config: EtcdConfig, deps: EtcdDeps): Etcd {
  const {
    name = 'default',
    peerUrls = ['http://localhost:2380'],
    clientUrls = ['http://localhost:2379'],
    clusterToken = 'etcd-cluster',
    progressNotifyIntervalMs = 10 * 60_000,
    requestBytesMax = requestBytesMaxDefault,
    txnOpsMax = 128,
  } = config;
  const { clock, prng, log } = deps;
  const member = new Member({
    identity: singleMember({ name, peerUrls, clientUrls, clusterToken }),
    machine,
    journal: undefined,
    clock,
    prng,
    requestBytesMax,
    onExpiryFailed: (id, error) => log(`lease ${id.toString(16)} could not be revoked: ${error}`),
  });
  const messageBytesMax = requestBytesMax + messageOverheadBytes;
  const services = [
    kvService(member, { txnOpsMax }),
    watchService(member, { clock, progressNotifyIntervalMs, fragmentBytesMax: messageBytesMax }),
    leaseService(member),
    clusterService(member),
    maintenanceService(member),
    authService(member),
  ];
  return {
    services,
    dispatcher: createDispatcher({ services, clock, messageBytesMax }),
    http: etcdHttpHandler(member),
    connect: (peer) => connectInMemory({ services, clock, ...(peer && { peer }) }),
    fork: (forkDeps) => serve(machine.fork(), config, forkDeps),
    async [Symbol.asyncDispose]() {
      member[Symbol.dispose]();
    },
  };
}
