/**
 * Before a member that has a folder serves anybody: whether what it holds is what the others hold. The feature `InitialCorruptCheck`, off by default.
 * One that holds something else at the same revision, with the same compactions, is enough to refuse; who cannot be asked, or has not come that far, or has
 * compacted more, is passed over. (upstream: server/etcdserver/corrupt.go)
 */
import { hashKv } from '../maintenance/hash-kv.ts';
import { isPeerError } from '../peers/peer-error.ts';
import type { PeerTransport } from '../peers/peers.ts';
import type { OpenFolder } from '../replica/open.ts';
import { replayed } from '../replica/replay.ts';
import { type AskedPeer, askPeers } from './peer-hashes.ts';

/** In upstream's words. */
export class InconsistentError extends Error {
  override readonly name = 'InconsistentError';

  constructor(memberId: bigint) {
    super(`${memberId.toString(16)} found data inconsistency with peers`);
  }
}

export interface InitialCheckOptions {
  readonly folder: OpenFolder;
  readonly peers: PeerTransport;
  /** What an operator should know. */
  readonly log: (message: string) => void;
  readonly inform: (message: string) => void;
}

/**
 * Takes what was saved, and of the log after it what is known to be agreed on: the rest may still become something else.
 * @throws InconsistentError
 */
export async function checkBeforeServing({ folder, peers, log, inform }: InitialCheckOptions): Promise<void> {
  const { nodeID: memberId, clusterID: clusterId } = folder.metadata;
  const { commit } = folder.hardState;
  inform('starting initial corruption check');
  const { store, members } = replayed({ ...folder, entries: folder.entries.filter(({ index }) => index <= commit) });
  const own = await hashKv(store, 0);
  const asked = await askPeers({ peers, members: members.all(), memberId, clusterId, revision: own.hashRevision });
  const here = `local member at revision ${own.hashRevision}, compacted at ${own.compactRevision}, has hash ${own.hash}`;
  let mismatches = 0;
  for (const peer of asked) {
    const { id, hash } = peer;
    if (hash === undefined) {
      log(`${whyNot(peer)}: remote peer ${id.toString(16)}, ${here}`);
      continue;
    }
    if (hash.hash === own.hash) continue;
    const isComparable = hash.compactRevision === own.compactRevision;
    if (isComparable) mismatches++;
    const there = `remote peer ${id.toString(16)} at revision ${hash.revision}, compacted at ${hash.compactRevision}, has hash ${hash.hash}`;
    log(`found different ${isComparable ? 'hash' : 'compact revision'} values from remote peer: ${there}, ${here}`);
  }
  if (mismatches > 0) throw new InconsistentError(memberId);
  inform('initial corruption checking passed; no corruption');
}

function whyNot({ error }: AskedPeer): string {
  if (isPeerError(error, 'futureRevision')) return 'cannot fetch hash from slow remote peer';
  if (isPeerError(error, 'compacted')) return 'cannot fetch hash from remote peer; local member is behind';
  if (isPeerError(error, 'clusterIdMismatch')) return 'cluster ID mismatch';
  return `failed hash kv request (${error instanceof Error ? error.message : error})`;
}
