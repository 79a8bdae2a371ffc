/** Exec: a URL under which a command's streams are served. The command starts when the client has come. */
import type { ExecRequest, ExecResponse } from '#api-cri/gen/api.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { CriContext } from './context.ts';
import { toRpcError } from './errors.ts';
import { requireRunning, startExec } from './exec-process.ts';
import { acceptRemoteCommand } from './remote-command.ts';
import type { RemoteStreams, StreamFlags } from './remote-streams.ts';

export function exec(context: CriContext, request: ExecRequest): ExecResponse {
  checkStreams(request);
  if (request.cmd.length === 0) throw new RpcError(Code.InvalidArgument, 'command must not be empty');
  requireRunning(context, request.containerId);
  const url = context.streaming.offer('exec', (http) =>
    acceptRemoteCommand(context, http, request, (streams) => serve(context, request, streams)),
  );
  return { url };
}

/** As the kubelet's streaming library refuses: at least one stream, and a terminal has no separate stderr. */
export function checkStreams(streams: StreamFlags): void {
  if (streams.tty && streams.stderr) throw new RpcError(Code.InvalidArgument, 'tty and stderr cannot both be true');
  if (!streams.stdin && !streams.stdout && !streams.stderr)
    throw new RpcError(Code.InvalidArgument, 'one of stdin, stdout, or stderr must be set');
}

async function serve(context: CriContext, request: ExecRequest, streams: RemoteStreams): Promise<void> {
  try {
    const container = requireRunning(context, request.containerId);
    await using running = await startExec(context, container, {
      command: request.cmd,
      tty: request.tty,
      stdin: request.stdin,
    });
    const { attachment } = running;
    const input = streams.receive(
      {
        write: (data) => attachment.write(data),
        drained: () => attachment.drained(),
        closeStdin: () => attachment.closeStdin(),
        resize: running.resize,
      },
      request.stdin,
    );
    // The client went: its command goes, too, when this function returns. That a process which ended takes no more input is no sign of it.
    const left = Promise.race([input.catch(() => streams.closed), streams.closed]).then(() => 'left' as const);
    const output = (async () => {
      for await (const { stream, data } of attachment.output) await streams.send(stream, data);
      return 'ended' as const;
    })();
    output.catch(() => {});
    const ended = running.exit.then(async (exit) => {
      await Promise.race([output, streams.closed]);
      return exit;
    });
    const exit = await Promise.race([ended, left]);
    if (exit === 'left') return;
    streams.finish({ exitCode: exit.exitCode });
  } catch (error) {
    streams.finish({
      error: `error executing command in container: failed to exec in container: ${toRpcError(error).message}`,
    });
  }
}
