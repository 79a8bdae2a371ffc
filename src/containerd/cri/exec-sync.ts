/** ExecSync: runs a command in a container and answers with all it wrote. A timeout kills it. */
import type { ExecSyncRequest, ExecSyncResponse } from '#api-cri/gen/api.ts';
import { sleep } from '#std/clock.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { CriContext } from './context.ts';
import { during } from './errors.ts';
import { type RunningExec, requireRunning, startExec } from './exec-process.ts';

/** Of each stream; what is beyond is dropped, as containerd does, for the message to fit gRPC's limit. */
export const outputBytesMax = 8 << 20;
/** A child that the command left behind may hold its streams open: they are waited for this long after the command ended. */
const drainMs = 2000;

export async function execSync(
  context: CriContext,
  request: ExecSyncRequest,
  signal?: AbortSignal,
): Promise<ExecSyncResponse> {
  return during('failed to exec in container', async () => {
    const container = requireRunning(context, request.containerId);
    if (request.cmd.length === 0) throw new RpcError(Code.InvalidArgument, 'command must not be empty');
    await using exec = await startExec(context, container, { command: request.cmd, tty: false, stdin: false });
    return await run(context, exec, Number(request.timeout), signal);
  });
}

async function run(
  context: CriContext,
  exec: RunningExec,
  timeoutSeconds: number,
  signal?: AbortSignal,
): Promise<ExecSyncResponse> {
  const output = { stdout: collector(), stderr: collector() };
  const drained = (async () => {
    for await (const { stream, data } of exec.attachment.output) output[stream].add(data);
  })();
  drained.catch(() => {});
  const timer = new AbortController();
  const stop = signal === undefined ? timer.signal : AbortSignal.any([signal, timer.signal]);
  try {
    const ended = exec.exit.then((exit) => ({ exit }));
    const first =
      timeoutSeconds > 0
        ? await Promise.race([
            ended,
            sleep(context.clock, timeoutSeconds * 1000, stop).then(() => ({ exit: undefined })),
          ])
        : await Promise.race([ended, aborted(stop)]);
    if (first.exit === undefined) {
      await exec.kill();
      throw new RpcError(
        Code.DeadlineExceeded,
        `timeout ${goSeconds(timeoutSeconds)} exceeded: context deadline exceeded`,
      );
    }
    await Promise.race([drained, sleep(context.clock, drainMs, stop)]);
    return { stdout: output.stdout.bytes(), stderr: output.stderr.bytes(), exitCode: first.exit.exitCode };
  } finally {
    timer.abort();
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function collector() {
  const chunks: Uint8Array[] = [];
  let length = 0;
  return {
    add(data: Uint8Array) {
      const kept = data.subarray(0, outputBytesMax - length);
      if (kept.length === 0) return;
      chunks.push(kept);
      length += kept.length;
    },
    bytes: () => Buffer.concat(chunks),
  };
}

/** A duration of whole seconds as Go prints it: `1s`, `2m0s`, `1h0m0s`. */
export function goSeconds(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = `${seconds % 60}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}
