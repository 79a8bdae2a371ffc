/**
 * The hash of everything that is stored, but where in the log it stands: names of buckets, keys and values, in order. It says whether a member is
 * as it was, not whether two are alike: for that there is `hash-kv.ts`. (upstream: server/storage/backend)
 */
import { nextTurn } from '#host/event-loop.ts';
import { crc32c } from '#std/crc32c.ts';
import { backendBuckets } from '../checkpoint/backend.ts';
import type { Machine } from '../machine.ts';

const left = new Set(['consistent_index', 'term']);
const pairsPerTurn = 4000;

/** @param machine nobody changes it meanwhile: a fork */
export async function hashOfBackend(machine: Machine): Promise<number> {
  let hash = 0;
  let pairs = 0;
  for (const { name, pairs: its } of backendBuckets(machine, { index: 0, term: 0 })) {
    hash = crc32c(Buffer.from(name), hash);
    for (const { key, value } of its()) {
      if (name === 'meta' && left.has(key.toString())) continue;
      hash = crc32c(value, crc32c(key, hash));
      if (++pairs % pairsPerTurn === 0) await nextTurn();
    }
  }
  return hash;
}
