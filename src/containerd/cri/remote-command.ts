/**
 * Remote commands: the streams of a process on a client's connection, over a WebSocket (KEP-4006) or SPDY/3.1, whichever the client asks for.
 * kubelet's streaming server.
 */
import type { HttpRequest, HttpResponse } from '#transport/http.ts';
import { asksForSpdy } from '#transport/spdy.ts';
import type { CriContext } from './context.ts';
import { acceptRemoteCommandSpdy } from './remote-command-spdy.ts';
import { acceptRemoteCommandWebSocket } from './remote-command-websocket.ts';
import type { RemoteStreams, StreamFlags } from './remote-streams.ts';

/** The answer to a request on exec's or attach's URL; `serve` gets the streams once they are there. */
export function acceptRemoteCommand(
  context: CriContext,
  request: HttpRequest,
  flags: StreamFlags,
  serve: (streams: RemoteStreams) => Promise<void>,
): HttpResponse {
  return asksForSpdy(request)
    ? acceptRemoteCommandSpdy(context.clock, request, flags, serve)
    : acceptRemoteCommandWebSocket(request, flags, serve);
}
