/** GET /version: of this member, and of the cluster as far as it has decided. */
import { serverVersion } from '../../version.ts';
import { allowMethod, json } from './answer.ts';
import type { PathHandler, PeerServer } from './handler.ts';

export function versionHandler({ source }: PeerServer): PathHandler {
  return (request) => {
    allowMethod(request, 'GET');
    const storage = source.storageVersion();
    return json({
      etcdserver: serverVersion,
      etcdcluster: source.clusterVersion() ?? 'not_decided',
      ...(storage !== undefined && { storage }),
    });
  };
}
