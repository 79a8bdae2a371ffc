/**
 * A member as JSON, the form in which changes of membership, the backend and the v2 snapshot carry it. Ids are JSON numbers of 64 bits: they are
 * written here, and read from beside the JSON, where every form has them too.
 */
import { type Json, JsonError, type JsonObject, objectOf, parseJson } from '#kube-machinery/strict-json.ts';
import type { ClusterMember } from './members.ts';

type WithoutId = Omit<ClusterMember, 'id'>;

export class MemberJsonError extends Error {
  override readonly name = 'MemberJsonError';
}

/** Fields that are empty are left out, as Go does. */
export function memberJson({ id, ...member }: ClusterMember): Buffer {
  return Buffer.from(`{"id":${id},${JSON.stringify(fieldsOf(member)).slice(1)}`);
}

/** The context of a change that adds or promotes. */
export function changeContextJson(member: ClusterMember, isPromote: boolean): Buffer {
  return Buffer.concat([memberJson(member).subarray(0, -1), Buffer.from(`,"isPromote":${isPromote}}`)]);
}

function fieldsOf({ peerUrls, isLearner, name, clientUrls }: WithoutId): object {
  return {
    peerURLs: peerUrls,
    ...(isLearner && { isLearner }),
    ...(name !== '' && { name }),
    ...(clientUrls.length > 0 && { clientURLs: clientUrls }),
  };
}

/** @throws MemberJsonError */
export function parseMember(bytes: Uint8Array): WithoutId {
  return memberOf(parseObject(Buffer.from(bytes).toString()));
}

/** @throws MemberJsonError */
export function parseChangeContext(bytes: Uint8Array | undefined): WithoutId & { readonly isPromote: boolean } {
  const context = parseObject(Buffer.from(bytes ?? new Uint8Array(0)).toString());
  return { ...memberOf(context), isPromote: context['isPromote'] === true };
}

/** The fields of a member but for its id; what is missing, or of another kind, counts as empty. */
export function memberOf({ name, peerURLs, clientURLs, isLearner }: JsonObject): WithoutId {
  return {
    name: typeof name === 'string' ? name : '',
    peerUrls: texts(peerURLs),
    clientUrls: texts(clientURLs),
    isLearner: isLearner === true,
  };
}

function parseObject(text: string): JsonObject {
  try {
    const object = objectOf(parseJson(text, { wideIntegers: 'text' }).value);
    if (object !== undefined) return object;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new MemberJsonError(`a member is not JSON: ${error.message}`, { cause: error });
  }
  throw new MemberJsonError('a member is not a JSON object');
}

function texts(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}
