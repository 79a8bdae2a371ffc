/** GET /members: who is in the cluster, for members that join it. */
import { membersJson } from '../members-json.ts';
import { allowMethod } from './answer.ts';
import { clusterHeader } from './compatibility.ts';
import type { PathHandler, PeerServer } from './handler.ts';

export function membersHandler({ context, source }: PeerServer): PathHandler {
  return (request) => {
    allowMethod(request, 'GET');
    return {
      status: 200,
      headers: [['content-type', 'application/json'], clusterHeader(context)],
      body: membersJson(source.members()),
    };
  };
}
