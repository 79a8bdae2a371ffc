/**
 * Who votes, as the backend's `meta` bucket has it: JSON whose ids are numbers of 64 bits, which JSON.parse cannot hold. So the few shapes
 * that Go writes are read here by hand. (upstream: server/storage/schema/confstate.go)
 */
import { ConfState } from '#api-etcd/gen/raft.ts';
import { BboltError } from '#storage/bbolt/format.ts';

/** Names in JSON, in Go's order. */
const lists = [
  ['voters', 'voters'],
  ['learners', 'learners'],
  ['voters_outgoing', 'votersOutgoing'],
  ['learners_next', 'learnersNext'],
] as const;

export function confStateJson(confState: ConfState): Buffer {
  const parts = lists
    .filter(([, field]) => confState[field].length > 0)
    .map(([name, field]) => `"${name}":[${confState[field].join(',')}]`);
  return Buffer.from(`{${[...parts, `"auto_leave":${confState.autoLeave}`].join(',')}}`);
}

/** @throws BboltError */
export function parseConfState(bytes: Uint8Array): ConfState {
  const json = Buffer.from(bytes).toString();
  const found: Partial<Record<(typeof lists)[number][1], bigint[]>> = {};
  for (const [name, field] of lists) {
    const list = new RegExp(`"${name}":\\[([0-9, ]*)\\]`).exec(json);
    if (list !== null) found[field] = list[1]!.split(',').filter(Boolean).map(BigInt);
  }
  if (!json.startsWith('{') || found.voters === undefined)
    throw new BboltError('the state of the configuration cannot be read');
  return ConfState.create({ ...found, autoLeave: json.includes('"auto_leave":true') });
}
