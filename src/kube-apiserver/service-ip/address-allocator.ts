/**
 * Service addresses, each kept by an IPAddress object: whoever creates the object has the address, so any number of apiservers share a range
 * without a word to each other. Source: KEP-1880 and pkg/registry/core/service/ipallocator.
 */

import type { Clock } from '#std/clock.ts';
import { below, type Prng } from '#std/prng.ts';
import type { KubeObject } from '../object.ts';
import { timestamp, uuid } from '../rest/create.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { type AddressRange, contains, formatAddress, parseAddress } from './range.ts';

export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
}

/** Why an address cannot be had; upstream's words. */
export class AllocationError extends Error {
  override readonly name = 'AllocationError';
}

export interface AddressAllocator {
  /** Takes the address asked for. @throws AllocationError */
  take(address: string, service: ServiceName, dryRun: boolean): Promise<void>;
  /** Takes any free address. @throws AllocationError when the range is full */
  takeNext(service: ServiceName, dryRun: boolean): Promise<string>;
  /** Gives back what this service holds; nothing happens to others'. */
  release(address: string, service: ServiceName): Promise<void>;
}

const folder = '/registry/ipaddresses/';
/** The lower part of a range is for those who choose their address; upstream's formula. */
const staticMin = 16;
const staticMax = 256;
const staticStep = 16;

export function createAddressAllocator(
  range: AddressRange,
  deps: {
    readonly store: ObjectStore;
    readonly clock: Clock;
    readonly prng: Prng;
    /** Known to be taken, perhaps a moment late: saves asking. */
    readonly isTaken: (address: string) => boolean;
  },
): AddressAllocator {
  const { store, clock, prng } = deps;
  const objectOf = (address: string, { namespace, name }: ServiceName): KubeObject => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IPAddress',
    metadata: {
      name: address,
      uid: uuid(prng),
      creationTimestamp: timestamp(clock.now()),
      labels: {
        'ipaddress.kubernetes.io/ip-family': 'IPv4',
        'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
      },
    },
    spec: { parentRef: { group: '', resource: 'services', namespace, name } },
  });
  const create = async (address: string, service: ServiceName) =>
    (await store.create(`${folder}${address}`, objectOf(address, service))) !== undefined;
  const band = Math.min(Math.max(staticMin, Math.floor(range.count / staticStep)), staticMax);
  const dynamic = range.count > band ? band : 0;

  return {
    async take(address, service, dryRun) {
      const value = parseAddress(address);
      if (value === undefined || !contains(range, value))
        throw new AllocationError(
          `the provided IP (${address}) is not in the valid range. The range of valid IPs is ${range.cidr}`,
        );
      const free = dryRun ? !deps.isTaken(address) : await create(address, service);
      if (!free) throw new AllocationError('provided IP is already allocated');
    },
    async takeNext(service, dryRun) {
      const upper = range.count - dynamic;
      // The dynamic part from a random place on, then the static one.
      const start = below(prng, upper);
      for (let i = 0; i < range.count; i++) {
        const offset = i < upper ? dynamic + ((start + i) % upper) : i - upper;
        const address = formatAddress(range.first + offset);
        if (deps.isTaken(address)) continue;
        if (dryRun || (await create(address, service))) return address;
      }
      throw new AllocationError('range is full');
    },
    async release(address, { namespace, name }) {
      const key = `${folder}${address}`;
      await store.update(key, (current) => {
        const parent = ((current?.['spec'] ?? {}) as { parentRef?: ServiceName }).parentRef;
        if (current === undefined || parent?.namespace !== namespace || parent.name !== name)
          return { kind: 'keep', object: current ?? objectOf(address, { namespace, name }) };
        return { kind: 'delete', object: current };
      });
    },
  };
}
