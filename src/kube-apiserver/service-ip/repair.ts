/**
 * Gives back what nobody uses: an apiserver that dies between reserving an address or a port and writing its service leaves the
 * reservation behind. Every server looks now and then; several may, since each change is guarded. Source: ipallocator/controller/repairip
 * and portallocator/controller of kubernetes.
 */
import { type Clock, sleep } from '#std/clock.ts';
import type { KubeObject } from '../object.ts';
import type { ObjectReader } from '../reader.ts';
import type { ServiceName } from './address-allocator.ts';
import type { NodePortAllocator } from './node-port-allocator.ts';

/** Upstream's. */
const intervalMs = 3 * 60_000;
/** An address may be younger than the service that will have it is visible here. */
const youngMs = 60_000;
/** A port must be seen without a service so often. */
const sightingsMin = 3;

const addresses = { group: 'networking.k8s.io', resource: 'ipaddresses' };
const services = { group: '', resource: 'services' };

export interface RepairDeps {
  readonly reader: ObjectReader;
  readonly clock: Clock;
  readonly nodePorts: NodePortAllocator;
  readonly releaseAddress: (address: string, service: ServiceName) => Promise<void>;
  readonly warn: (message: string, error?: unknown) => void;
}

export async function repairServiceAllocations(deps: RepairDeps, signal: AbortSignal): Promise<void> {
  const { clock, warn } = deps;
  /** How often a port has been seen reserved and unused, one after the other. */
  let unused = new Map<number, number>();
  while (!signal.aborted) {
    await sleep(clock, intervalMs, signal);
    try {
      await repairAddresses(deps);
      unused = await repairNodePorts(deps, unused);
    } catch (error) {
      if (signal.aborted) return;
      warn('giving back unused service addresses and ports failed', error);
    }
  }
}

async function repairAddresses({ reader, clock, releaseAddress, warn }: RepairDeps): Promise<void> {
  for (const { metadata, spec } of [...reader.list(addresses)] as readonly (KubeObject & {
    readonly spec?: unknown;
  })[]) {
    const { parentRef } = (spec ?? {}) as {
      readonly parentRef?: ServiceName & { readonly group?: string; readonly resource?: string };
    };
    if (metadata.labels?.['ipaddress.kubernetes.io/managed-by'] !== 'ipallocator.k8s.io') continue;
    if (parentRef === undefined || parentRef.resource !== 'services' || (parentRef.group ?? '') !== '') continue;
    const { namespace, name } = parentRef;
    if (clock.now() - Date.parse(metadata.creationTimestamp ?? '') < youngMs) continue;
    const service = reader.get(services, namespace, name) ?? (await reader.getLatest(services, namespace, name));
    const { clusterIPs = [] } = (service?.['spec'] ?? {}) as { readonly clusterIPs?: readonly string[] };
    if (clusterIPs.includes(metadata.name!)) continue;
    warn(`the address ${metadata.name} of service ${namespace}/${name} has leaked and is given back`);
    await releaseAddress(metadata.name!, parentRef);
  }
}

async function repairNodePorts(
  { reader, nodePorts, warn }: RepairDeps,
  before: ReadonlyMap<number, number>,
): Promise<Map<number, number>> {
  const reserved = await nodePorts.reserved();
  const used = new Set<number>();
  for (const service of reader.list(services)) {
    const spec = (service['spec'] ?? {}) as {
      readonly ports?: readonly { readonly nodePort?: number }[];
      readonly healthCheckNodePort?: number;
    };
    for (const { nodePort } of spec.ports ?? []) if (nodePort) used.add(nodePort);
    if (spec.healthCheckNodePort) used.add(spec.healthCheckNodePort);
  }
  const after = new Map<number, number>();
  for (const port of reserved) {
    if (used.has(port)) continue;
    const sightings = (before.get(port) ?? 0) + 1;
    if (sightings < sightingsMin) {
      after.set(port, sightings);
      continue;
    }
    warn(`the node port ${port} has leaked and is given back`);
    await nodePorts.release(port);
  }
  return after;
}
