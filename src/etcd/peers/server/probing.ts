/** /raft/probing: that this member is there, and what time it has. */
import type { PathHandler, PeerServer } from './handler.ts';

export function probingHandler({ context }: PeerServer): PathHandler {
  return () => {
    const now = new Date(context.clock.now()).toISOString();
    return {
      status: 200,
      headers: [['content-type', 'text/plain; charset=utf-8']],
      body: Buffer.from(`${JSON.stringify({ OK: true, Now: now })}\n`),
    };
  };
}
