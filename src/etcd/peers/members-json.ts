/** Lists of members as JSON, as /members and /members/promote answer. Ids are JSON numbers of 64 bits. */
import { type Json, JsonError, objectOf, parseJson } from '#kube-machinery/strict-json.ts';
import { memberJson, memberOf } from '../cluster/member-json.ts';
import type { ClusterMember } from '../cluster/members.ts';

export class MembersJsonError extends Error {
  override readonly name = 'MembersJsonError';
}

export function membersJson(members: readonly ClusterMember[]): Buffer {
  return Buffer.from(`[${members.map((member) => memberJson(member).toString()).join(',')}]\n`);
}

/** @throws MembersJsonError */
export function parseMembers(text: string): ClusterMember[] {
  let value: Json;
  try {
    ({ value } = parseJson(text, { wideIntegers: 'text' }));
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new MembersJsonError(`the members are not JSON: ${error.message}`, { cause: error });
  }
  if (!Array.isArray(value)) throw new MembersJsonError('the members are not a list');
  return (value as readonly Json[]).map(parseMember);
}

function parseMember(value: Json): ClusterMember {
  const fields = objectOf(value);
  if (fields === undefined) throw new MembersJsonError('a member is not an object');
  const { id } = fields;
  if ((typeof id !== 'number' && typeof id !== 'string') || !/^\d{1,20}$/.test(String(id)))
    throw new MembersJsonError('a member has no id');
  return { id: BigInt(id), ...memberOf(fields) };
}
