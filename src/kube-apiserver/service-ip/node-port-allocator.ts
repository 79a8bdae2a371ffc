/** Node ports: one bitmap object for the whole cluster, changed by guarded updates. Source: pkg/registry/core/service/portallocator. */
import { below, type Prng } from '#std/prng.ts';
import type { KubeObject } from '../object.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { StoredObject } from '../storage/stored-object.ts';
import { AllocationError } from './address-allocator.ts';

export const nodePortFirst = 30_000;
export const nodePortLast = 32_767;

const key = '/registry/ranges/servicenodeports';
const range = `${nodePortFirst}-${nodePortLast}`;
const count = nodePortLast - nodePortFirst + 1;

export interface NodePortAllocator {
  /** @throws AllocationError */
  take(port: number): Promise<void>;
  takeNext(): Promise<number>;
  release(port: number): Promise<void>;
  /** All that are taken. */
  reserved(): Promise<readonly number[]>;
}

/** What one caller does to the bitmap. May run again on a newer bitmap. @throws AllocationError */
type BitsChange = (bits: bigint) => bigint;

interface Waiting {
  readonly change: BitsChange;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export function createNodePortAllocator(store: ObjectStore, prng: Prng): NodePortAllocator {
  const bit = (port: number) => 1n << BigInt(port - nodePortFirst);
  let waiting: Waiting[] = [];
  let writing = false;
  let latest: StoredObject | undefined;

  // Whoever comes while a write is under way shares the next one: one object serves the whole cluster, and writers of one server do not
  // make each other begin again.
  const change = (update: BitsChange) =>
    new Promise<void>((resolve, reject) => {
      waiting.push({ change: update, resolve, reject });
      if (!writing) void writeAll();
    });

  async function writeAll(): Promise<void> {
    writing = true;
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      const refused = new Map<Waiting, unknown>();
      try {
        const result = await store.update(
          key,
          (current) => {
            refused.clear();
            const before = bitsOf(current);
            let after = before;
            for (const one of batch)
              try {
                after = one.change(after);
              } catch (error) {
                refused.set(one, error);
              }
            const object = rangeObject(current, after);
            return after === before && current !== undefined
              ? { kind: 'keep', object: current }
              : { kind: 'put', object };
          },
          latest,
        );
        const { object } = result;
        latest = new StoredObject(key, Number(object.metadata.resourceVersion), { object });
        for (const one of batch)
          if (refused.has(one)) one.reject(refused.get(one));
          else one.resolve();
      } catch (error) {
        latest = undefined;
        for (const { reject } of batch) reject(error);
      }
    }
    writing = false;
  }

  return {
    async take(port) {
      if (port < nodePortFirst || port > nodePortLast)
        throw new AllocationError(`provided port is not in the valid range. The range of valid ports is ${range}`);
      await change((bits) => {
        if ((bits & bit(port)) !== 0n) throw new AllocationError('provided port is already allocated');
        return bits | bit(port);
      });
    },
    async takeNext() {
      let taken = 0;
      await change((bits) => {
        const start = below(prng, count);
        for (let i = 0; i < count; i++) {
          const port = nodePortFirst + ((start + i) % count);
          if ((bits & bit(port)) !== 0n) continue;
          taken = port;
          return bits | bit(port);
        }
        throw new AllocationError('range is full');
      });
      return taken;
    },
    release: (port) => change((bits) => bits & ~bit(port)),
    async reserved() {
      const bits = bitsOf((await store.get(key)).item?.object);
      return Array.from({ length: count }, (_, i) => nodePortFirst + i).filter((port) => (bits & bit(port)) !== 0n);
    },
  };
}

/** Big-endian bytes in base64, the lowest port in the lowest bit. */
function bitsOf(object: KubeObject | undefined): bigint {
  const hex = Buffer.from(String(object?.['data'] ?? ''), 'base64').toString('hex');
  return hex === '' ? 0n : BigInt(`0x${hex}`);
}

function rangeObject(current: KubeObject | undefined, bits: bigint): KubeObject {
  const hex = bits.toString(16);
  const data = bits === 0n ? '' : Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64');
  return { apiVersion: 'v1', kind: 'RangeAllocation', metadata: current?.metadata ?? {}, range, data };
}
