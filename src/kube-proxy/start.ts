/** Keeps the kernel's service rules as Services and EndpointSlices say: informers in, one nftables table out, changed by differences. */
import type { KubeClient } from '#kube-client/client.ts';
import { createInformerFactory } from '#kube-client/informer-factory.ts';
import type { ApiObject, ResourceRef } from '#kube-client/resource-ref.ts';
import type { Clock, Timer } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import type { NetlinkMessage } from '#wire/netlink/message.ts';
import { batch, deleteTable, Family, newTable } from '#wire/netlink/nftables.ts';
import { diffTables } from './diff.ts';
import { buildTable, type RuleConfig, type ServiceNumbers, type Table } from './rules.ts';
import { type EndpointSliceLike, type ServiceLike, servicePorts } from './service-port.ts';

export interface KubeProxyDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly prng: Prng;
  /** The node's nf_tables. */
  readonly netlink: { transaction(messages: readonly NetlinkMessage[], what: string): void };
  readonly log: (message: string, error?: unknown) => void;
}

export interface KubeProxyConfig extends RuleConfig {
  readonly nodeName: string;
}

export interface KubeProxy extends AsyncDisposable {
  /** Settles when the rules for what was there at the start are in place. */
  readonly ready: Promise<void>;
}

const services: ResourceRef = { group: '', version: 'v1', resource: 'services', kind: 'Service', namespaced: true };
const slices: ResourceRef = {
  group: 'discovery.k8s.io',
  version: 'v1',
  resource: 'endpointslices',
  kind: 'EndpointSlice',
  namespaced: true,
};

/** Changes that come together are applied together. */
const settleMs = 5;
const retryMs = 1000;

export function startKubeProxy({
  config,
  deps,
}: {
  readonly config: KubeProxyConfig;
  readonly deps: KubeProxyDeps;
}): KubeProxy {
  const { client, clock, prng, netlink, log } = deps;
  const scope = new Scope();
  const informers = scope.use(createInformerFactory({ client, clock, prng, log }));
  const serviceInformer = informers.informer<ServiceLike & ApiObject>(services);
  const sliceInformer = informers.informer<EndpointSliceLike & ApiObject>(slices);
  const numbers: ServiceNumbers = new Map();
  let held: Table | undefined;
  let timer: Timer | undefined;

  const apply = () => {
    timer = undefined;
    const wanted = buildTable(
      servicePorts(serviceInformer.list(), sliceInformer.list(), config.nodeName),
      config,
      numbers,
    );
    try {
      const messages = diffTables(config.table, held, wanted);
      if (messages.length > 0) netlink.transaction(batch(messages), 'apply service rules');
      held = wanted;
    } catch (error) {
      // What the kernel holds is not known any more: the next time everything is made anew.
      held = undefined;
      log('service rules', error);
      timer = clock.after(retryMs, apply);
    }
  };
  const soon = () => {
    if (timer === undefined && !scope.closed) timer = clock.after(settleMs, apply);
  };
  const ready = informers.synced().then(() => {
    if (scope.closed) return;
    apply();
    const handlers = { added: soon, updated: soon, deleted: soon };
    serviceInformer.addHandlers(handlers);
    sliceInformer.addHandlers(handlers);
  });
  ready.catch(() => {});
  scope.defer(() => timer?.[Symbol.dispose]());
  return { ready, [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose]() };
}

/** Takes the rules away; nothing there is fine. */
export function removeServiceRules(netlink: KubeProxyDeps['netlink'], table: string): void {
  netlink.transaction(batch([newTable(Family.ip, table), deleteTable(Family.ip, table)]), 'remove service rules');
}
