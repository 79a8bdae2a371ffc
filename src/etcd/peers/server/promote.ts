/** POST /members/promote/ID (decimal): makes a learner a voter, asked by a member that is not the leader. */
import { header } from '#transport/http.ts';
import { membersJson } from '../members-json.ts';
import { PeerError } from '../peer-error.ts';
import { allowMethod, answerError } from './answer.ts';
import { clusterHeader } from './compatibility.ts';
import type { PathHandler, PeerServer } from './handler.ts';

export function promoteHandler({ context, source }: PeerServer): PathHandler {
  return async (request, path) => {
    allowMethod(request, 'POST');
    const headers = [clusterHeader(context)];
    try {
      const id = path.slice('/members/promote/'.length);
      if (!/^\d{1,20}$/.test(id) || BigInt(id) >= 1n << 64n)
        throw new PeerError(404, `member ${id} not found in cluster`);
      const members = await source.promote(BigInt(id), header(request.headers, 'authorization'));
      return {
        status: 200,
        headers: [['content-type', 'application/json'], ...headers],
        body: membersJson(members),
      };
    } catch (error) {
      const answer = answerError(error, context);
      return { ...answer, headers: [...answer.headers, ...headers] };
    }
  };
}
