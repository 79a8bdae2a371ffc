/** The Watch service: one {@link ServerWatchStream} a call. */
import { Watch } from '#api-etcd/gen/rpc.ts';
import { type BoundService, bind } from '#rpc/call.ts';
import type { Clock } from '#std/clock.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import type { Member } from '../member.ts';
import { ServerWatchStream } from './stream.ts';

export function watchService(
  member: Member,
  {
    clock,
    authenticator,
    progressNotifyIntervalMs,
    fragmentBytesMax,
  }: {
    readonly clock: Clock;
    readonly authenticator: Authenticator;
    readonly progressNotifyIntervalMs: number;
    readonly fragmentBytesMax: number;
  },
): BoundService {
  return bind(Watch, {
    async watch(requests, sink, context) {
      const stream = new ServerWatchStream(
        {
          store: () => member.store,
          hub: member.hub,
          clock,
          header: (revision) => member.header(revision),
          checkRead: (key, rangeEnd) => member.machine.auth.checkRead(authenticator.callerOf(context), key, rangeEnd),
          progressNotifyIntervalMs,
          fragmentBytesMax,
        },
        sink,
      );
      try {
        for await (const request of requests) {
          stream.take(request);
          await stream.drained();
        }
        // A client that has nothing more to ask still watches.
        await new Promise((_, reject) => {
          context.signal.addEventListener('abort', () => reject(context.signal.reason), { once: true });
          if (context.signal.aborted) reject(context.signal.reason);
        });
      } finally {
        stream.end();
      }
    },
  });
}
