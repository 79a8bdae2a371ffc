/** GET /downgrade/enabled: whether the cluster is being downgraded, as a linearizable read. */
import { allowMethod, text } from './answer.ts';
import { clusterHeader } from './compatibility.ts';
import type { PathHandler, PeerServer } from './handler.ts';

export function downgradeEnabledHandler({ context, source }: PeerServer): PathHandler {
  return async (request) => {
    allowMethod(request, 'GET');
    const headers = [clusterHeader(context)];
    try {
      const enabled = await source.downgradeEnabled();
      return { status: 200, headers: [['content-type', 'text/plain'], ...headers], body: Buffer.from(String(enabled)) };
    } catch (error) {
      return text(500, `failed linearized read: ${(error as Error).message}`, headers);
    }
  };
}
