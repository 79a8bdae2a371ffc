/** GET /members/hashkv with a JSON body: the hash of this member's keys at a revision, for checks between members. */
import { type Json, JsonError, parseJson } from '#kube-machinery/strict-json.ts';
import { header } from '#transport/http.ts';
import { hexId } from '../context.ts';
import { peerError } from '../peer-error.ts';
import { readBody } from '../read-body.ts';
import { allowMethod, json } from './answer.ts';
import { clusterHeader } from './compatibility.ts';
import type { PathHandler, PeerServer } from './handler.ts';

const requestBytesMax = 4 << 10;

export function hashKvHandler({ context, source }: PeerServer): PathHandler {
  return async (request) => {
    allowMethod(request, 'GET');
    const theirs = header(request.headers, 'x-etcd-cluster-id') ?? '';
    if (theirs !== '' && theirs !== hexId(context.clusterId)) throw peerError('clusterIdMismatch');
    const body = await readBody(request.body, requestBytesMax).catch(() => {
      throw peerError('readingBody');
    });
    const { hash, hashRevision, compactRevision, revision } = await source.hashKv(parseRevision(body.toString()));
    // Go leaves zeros out.
    return json(
      {
        header: { ...(revision !== 0 && { revision }) },
        ...(hash !== 0 && { hash }),
        ...(compactRevision !== 0 && { compact_revision: compactRevision }),
        ...(hashRevision !== 0 && { hash_revision: hashRevision }),
      },
      200,
      [clusterHeader(context)],
    );
  };
}

/** @throws PeerError */
function parseRevision(text: string): number {
  let value: Json;
  try {
    ({ value } = parseJson(text));
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw peerError('decodingRequest');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw peerError('decodingRequest');
  const revision = (value as Readonly<Record<string, Json>>)['revision'] ?? 0;
  if (typeof revision !== 'number' || !Number.isSafeInteger(revision)) throw peerError('decodingRequest');
  return revision;
}
