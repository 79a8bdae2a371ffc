/** Attach: a URL under which the streams of a container's own process are served, from now on. Leaving does not end it. */
import type { AttachRequest, AttachResponse } from '#api-cri/gen/api.ts';
import { RuntimeError } from '#runtime/error.ts';
import type { CriContext } from './context.ts';
import { toRpcError } from './errors.ts';
import { checkStreams } from './exec.ts';
import { requireRunning } from './exec-process.ts';
import { acceptRemoteCommand } from './remote-command.ts';
import type { RemoteStreams } from './remote-streams.ts';

export function attach(context: CriContext, request: AttachRequest): AttachResponse {
  checkStreams(request);
  requireRunning(context, request.containerId);
  const url = context.streaming.offer('attach', (http) =>
    acceptRemoteCommand(context, http, request, (streams) => serve(context, request, streams)),
  );
  return { url };
}

async function serve(context: CriContext, request: AttachRequest, streams: RemoteStreams): Promise<void> {
  try {
    const { id, config } = requireRunning(context, request.containerId);
    await using attachment = await context.runtime.attach(id);
    const stdin = request.stdin && config.stdin;
    const input = streams
      .receive(
        {
          write: (data) => attachment.write(data),
          drained: () => attachment.drained(),
          closeStdin: () => config.stdinOnce && attachment.closeStdin(),
          resize(size) {
            context.runtime.resize(id, size).catch((error) => {
              if (!(error instanceof RuntimeError)) context.warn(`resizing container ${id}`, error);
            });
          },
        },
        stdin,
      )
      // Not a sign that the client has gone: the container has ended.
      .catch(() => streams.closed);
    const output = (async () => {
      for await (const { stream, data } of attachment.output) await streams.send(stream, data);
      return 'ended' as const;
    })();
    const outcome = await Promise.race([output, Promise.race([input, streams.closed]).then(() => 'left' as const)]);
    if (outcome === 'ended') streams.finish({ exitCode: 0 });
    else output.catch(() => {});
  } catch (error) {
    streams.finish({ error: `error attaching to container: ${toRpcError(error).message}` });
  }
}
