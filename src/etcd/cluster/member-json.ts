/**
 * A member as JSON, the form in which changes of membership, the backend and the v2 snapshot carry it. Ids are JSON numbers of 64 bits, which
 * JSON.parse cannot hold: they are written here, and read from beside the JSON, where every form has them too.
 */
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
  const json = parse(bytes);
  return {
    name: text(json['name']),
    peerUrls: texts(json['peerURLs']),
    clientUrls: texts(json['clientURLs']),
    isLearner: json['isLearner'] === true,
  };
}

/** @throws MemberJsonError */
export function parseChangeContext(bytes: Uint8Array | undefined): WithoutId & { readonly isPromote: boolean } {
  const context = bytes ?? new Uint8Array(0);
  return { ...parseMember(context), isPromote: parse(context)['isPromote'] === true };
}

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    throw new MemberJsonError('a member is not JSON', { cause: error });
  }
  throw new MemberJsonError('a member is not a JSON object');
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(text) : [];
}
