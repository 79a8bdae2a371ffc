/**
 * Who votes, as the backend's `meta` bucket has it: JSON whose ids are numbers of 64 bits. (upstream: server/storage/schema/confstate.go)
 */
import { ConfState } from '#api-etcd/gen/raft.ts';
import { type Json, JsonError, objectOf, parseJson } from '#kube-machinery/strict-json.ts';
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
  const fields = objectOf(parsed(Buffer.from(bytes).toString()));
  if (fields?.['voters'] === undefined) throw unreadable();
  const found: Partial<Record<(typeof lists)[number][1], bigint[]>> = {};
  for (const [name, field] of lists) {
    const ids = fields[name];
    if (ids !== undefined) found[field] = idsOf(ids);
  }
  return ConfState.create({ ...found, autoLeave: fields['auto_leave'] === true });
}

function idsOf(value: Json): bigint[] {
  if (!Array.isArray(value) || !value.every((id) => /^\d{1,20}$/.test(String(id)))) throw unreadable();
  return value.map((id) => BigInt(String(id)));
}

function parsed(text: string): Json {
  try {
    return parseJson(text, { wideIntegers: 'text' }).value;
  } catch (error) {
    if (error instanceof JsonError) throw unreadable(error);
    throw error;
  }
}

function unreadable(cause?: unknown): BboltError {
  return new BboltError('the state of the configuration cannot be read', { cause });
}
