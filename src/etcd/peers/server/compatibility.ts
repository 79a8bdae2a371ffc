/** What every raft request is asked before anything else, and what is learned from it. */
import { type HeaderList, header } from '#transport/http.ts';
import { hexId, type PeerContext, parseHexId } from '../context.ts';
import { peerError } from '../peer-error.ts';
import { isCompatible } from '../version-check.ts';
import type { PeerServer } from './handler.ts';

/** Addresses that a request may name; a member has a few. */
const urlsMax = 16;
const urlLengthMax = 512;

export function clusterHeader({ clusterId }: Pick<PeerContext, 'clusterId'>): readonly [string, string] {
  return ['x-etcd-cluster-id', hexId(clusterId)];
}

/** @throws PeerError for another cluster, or a version that this one cannot talk to */
export function checkCompatibility(headers: HeaderList, { clusterId, log }: PeerContext): void {
  const name = header(headers, 'x-server-from') ?? '';
  if (!isCompatible(headers)) {
    log(`failed version compatibility check of ${name}: ${header(headers, 'x-server-version')}`);
    throw peerError('incompatibleVersion');
  }
  const theirs = header(headers, 'x-etcd-cluster-id');
  if (theirs !== hexId(clusterId)) {
    log(`request cluster ID mismatch: ${theirs} of ${name}, not ${hexId(clusterId)}`);
    throw peerError('clusterIdMismatch');
  }
}

/** Makes who asks known, so that it can be answered before the log tells of it. */
export function learnRemote(headers: HeaderList, { addRemote }: PeerServer): void {
  const from = parseHexId(header(headers, 'x-server-from') ?? '');
  if (from !== undefined) learnUrls(from, headers, addRemote);
}

export function learnUrls(from: bigint, headers: HeaderList, addRemote: PeerServer['addRemote']): void {
  const urls = (header(headers, 'x-peerurls') ?? '').split(',', urlsMax);
  if (urls.every((url) => url.length < urlLengthMax && /^https?:\/\/[^/?#@]+:\d{1,5}$/.test(url)))
    addRemote(from, urls);
}
