/** What a peer's answer says when it is not the wanted one, in upstream's words (rafthttp's stream reader and checkPostResponse). */
import { type HttpResponse, header } from '#transport/http.ts';
import { hexId, type PeerContext } from './context.ts';
import { PeerError, peerError } from './peer-error.ts';
import { readBody } from './read-body.ts';

const refusalBytesMax = 64 << 10;
const removalText = 'the member has been permanently removed from the cluster';

/** Whether a peer said that this member is not in the cluster any more. */
export function isRemoval(error: unknown): error is PeerError {
  return error instanceof PeerError && error.message === removalText;
}

export async function refusalOf(
  response: HttpResponse,
  options: {
    readonly context: Pick<PeerContext, 'localId' | 'clusterId' | 'log'>;
    readonly peerId: bigint;
    readonly asked: 'stream' | 'post';
  },
): Promise<PeerError> {
  const { context, peerId, asked } = options;
  const { localId, clusterId, log } = context;
  const body = await readBody(response.body, refusalBytesMax);
  const { status } = response;
  if (status === (asked === 'stream' ? 410 : 403)) return new PeerError(status, removalText);
  if (status === 404 && asked === 'stream')
    return new PeerError(status, `peer ${hexId(peerId)} failed to find local node ${hexId(localId)}`);
  if (status === 412) {
    const text = body.toString().replace(/\n$/, '');
    const incompatible = peerError('incompatibleVersion');
    const mismatch = peerError('clusterIdMismatch');
    if (text === incompatible.message) {
      log(`request sent was ignored by remote peer ${hexId(peerId)} due to server version incompatibility`);
      return incompatible;
    }
    if (text === mismatch.message) {
      const theirs = header(response.headers, 'x-etcd-cluster-id') ?? '';
      log(
        `request sent was ignored by remote peer ${hexId(peerId)} due to cluster ID mismatch: ${theirs}, not ${hexId(clusterId)}`,
      );
      return mismatch;
    }
    return new PeerError(status, `unhandled error ${JSON.stringify(body.toString())} when precondition failed`);
  }
  if (asked === 'stream') return new PeerError(status, `unhandled http status ${status}`);
  return new PeerError(status, `unexpected http status ${status} while posting`);
}
