/** Services: addresses and node ports are reserved around each write, and given back when it fails or they are no longer used. Source: pkg/registry/core/service/storage. */
import { type FieldError, invalid } from '#kube-machinery/field-error.ts';
import { invalidError } from '#kube-machinery/status.ts';
import type { KubeObject } from '../object.ts';
import { type AddressAllocator, AllocationError } from '../service-ip/address-allocator.ts';
import type { NodePortAllocator } from '../service-ip/node-port-allocator.ts';
import type { Reservation, Strategy } from '../strategy.ts';
import { checkIp } from '../validation/pod-spec.ts';
import { withoutTypeDependent } from './service-type-change.ts';

interface Port {
  readonly name?: string;
  readonly port?: number;
  readonly protocol?: string;
  readonly nodePort?: number;
}

interface Spec {
  readonly type?: string;
  readonly clusterIP?: string;
  readonly clusterIPs?: readonly string[];
  readonly ports?: readonly Port[];
  readonly selector?: object;
}

const specOf = (service: KubeObject | undefined) => (service?.['spec'] ?? {}) as Spec;
const held = (spec: Spec) => (spec.clusterIP && spec.clusterIP !== 'None' ? spec.clusterIP : undefined);
const usesNodePorts = ({ type }: Spec) => type === 'NodePort' || type === 'LoadBalancer';

export function serviceStrategy(
  generic: Strategy,
  addresses: AddressAllocator,
  nodePorts: NodePortAllocator,
): Strategy {
  return {
    ...generic,
    prepareCreate: (object, writer) => ({ ...generic.prepareCreate(object, writer), status: { loadBalancer: {} } }),
    prepareUpdate(object, old) {
      const before = specOf(old);
      const given = generic.prepareUpdate(object, old);
      const spec: Spec = withoutTypeDependent({ ...specOf(given) }, { ...before });
      const service = { ...given, spec };
      const named = before.type === 'ExternalName' || spec.type === 'ExternalName';
      // What a client leaves out is what it had.
      if (named || spec.clusterIP) return service;
      const { clusterIP, clusterIPs } = before;
      return { ...service, spec: { ...spec, ...(clusterIP && { clusterIP, clusterIPs }) } };
    },
    async around(object, old, dryRun) {
      const undo: (() => Promise<void>)[] = [];
      const done: (() => Promise<void>)[] = [];
      const { name = '', namespace = '' } = (object ?? old)!.metadata;
      const service = { namespace, name };
      const before = specOf(old);
      const rollback = async () => {
        for (const step of undo.splice(0).reverse()) await step();
      };
      const commit = async () => {
        for (const step of done.splice(0)) await step();
      };
      if (object === undefined) {
        const address = held(before);
        if (address !== undefined) done.push(() => addresses.release(address, service));
        for (const { nodePort } of before.ports ?? []) if (nodePort) done.push(() => nodePorts.release(nodePort));
        return { object: old!, commit, rollback };
      }
      try {
        let spec = await withAddress(specOf(object), before);
        spec = await withNodePorts(spec, before);
        const reserved: Reservation = { object: { ...object, spec }, commit, rollback };
        return reserved;
      } catch (error) {
        await rollback();
        throw error;
      }

      async function withAddress(spec: Spec, was: Spec): Promise<Spec> {
        const had = held(was);
        if (spec.type === 'ExternalName') {
          if (had !== undefined) done.push(() => addresses.release(had, service));
          const { clusterIP: _a, clusterIPs: _b, ...rest } = spec;
          return rest;
        }
        const families = familiesOf(spec);
        if (spec.clusterIP === 'None') return { ...spec, clusterIPs: ['None'], ...families };
        if (had !== undefined && spec.clusterIP === had) return { ...spec, clusterIPs: [had], ...families };
        const asked = spec.clusterIP;
        // What is no address is told before any is looked for.
        const faults: FieldError[] = [];
        if (asked) checkIp(faults, 'spec.clusterIPs[0]', asked);
        if (faults.length > 0) throw invalidError('', 'Service', name, faults);
        try {
          const address = asked || (await addresses.takeNext(service, dryRun));
          if (asked) await addresses.take(asked, service, dryRun);
          if (!dryRun) undo.push(() => addresses.release(address, service));
          return { ...spec, clusterIP: address, clusterIPs: [address], ...families };
        } catch (error) {
          if (!(error instanceof AllocationError)) throw error;
          throw invalidError('', 'Service', name, [
            invalid('spec.clusterIPs', asked ? [asked] : [], `failed to allocate IP ${asked || '0'}: ${error.message}`),
          ]);
        }
      }

      async function withNodePorts(spec: Spec, was: Spec): Promise<Spec> {
        const mine = new Set((was.ports ?? []).map(({ nodePort }) => nodePort ?? 0).filter((port) => port !== 0));
        const kept = new Set<number>();
        const ports: Port[] = [];
        for (const [index, port] of (spec.ports ?? []).entries()) {
          if (!usesNodePorts(spec)) {
            const { nodePort: _, ...rest } = port;
            ports.push(rest);
            continue;
          }
          const same = (was.ports ?? []).find((other) => other.port === port.port && other.protocol === port.protocol);
          const wanted = port.nodePort || same?.nodePort || 0;
          if (wanted !== 0 && (mine.has(wanted) || kept.has(wanted))) {
            kept.add(wanted);
            ports.push({ ...port, nodePort: wanted });
            continue;
          }
          try {
            if (dryRun) {
              ports.push(port);
              continue;
            }
            if (wanted !== 0) await nodePorts.take(wanted);
            const taken = wanted !== 0 ? wanted : await nodePorts.takeNext();
            undo.push(() => nodePorts.release(taken));
            kept.add(taken);
            ports.push({ ...port, nodePort: taken });
          } catch (error) {
            if (!(error instanceof AllocationError)) throw error;
            throw invalidError('', 'Service', name, [invalid(`spec.ports[${index}].nodePort`, wanted, error.message)]);
          }
        }
        for (const port of mine) if (!kept.has(port)) done.push(() => nodePorts.release(port));
        return { ...spec, ...(spec.ports && { ports }) };
      }
    },
  };
}

/** One family here; a headless service without selector may point anywhere. */
function familiesOf(spec: Spec): object {
  const anywhere = spec.clusterIP === 'None' && Object.keys(spec.selector ?? {}).length === 0;
  return anywhere
    ? { ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'RequireDualStack' }
    : { ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' };
}
