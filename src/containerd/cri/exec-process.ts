/** Runs one more process in a container: as the container's own, with another command. What ExecSync and Exec share. */
import { parseSpec } from '#api-oci/parse-spec.ts';
import type { Process } from '#api-oci/runtime-spec.ts';
import { readIfThere } from '#host/files.ts';
import { RuntimeError } from '#runtime/error.ts';
import type { Attachment, Exit } from '#runtime/runtime.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { Container } from './container-store.ts';
import { bundleFolder, type CriContext, newId } from './context.ts';
import { fromRuntime, toRpcError } from './errors.ts';
import { SIGKILL } from './signal.ts';

export interface ExecOptions {
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
}

export interface RunningExec extends AsyncDisposable {
  readonly attachment: Attachment;
  readonly exit: Promise<Exit>;
  resize(size: { readonly width: number; readonly height: number }): void;
  kill(): Promise<void>;
}

export function requireRunning(context: CriContext, containerId: string): Container {
  const container = context.containers.require(
    containerId,
    `failed to find container ${JSON.stringify(containerId)} in store`,
  );
  if (container.status.state !== 'running')
    throw new RpcError(Code.Unknown, `container is in CONTAINER_${container.status.state.toUpperCase()} state`);
  return container;
}

/** Starts the process; every byte it writes reaches `attachment`. Disposing kills it if it still runs, and forgets it. */
export async function startExec(context: CriContext, container: Container, options: ExecOptions): Promise<RunningExec> {
  const { id } = container;
  const execId = newId(context.prng);
  const { runtime } = context;
  const process: Process = {
    ...(await containerProcess(context, id)),
    args: options.command,
    terminal: options.tty,
  };
  const failed = (error: unknown) =>
    toRpcError(fromRuntime('exec', error), `failed to start exec ${JSON.stringify(execId)}`);
  await runtime
    .createExec({
      id,
      execId,
      process,
      stdio: { stdin: options.stdin ? 'pipe' : 'null', stdout: 'pipe', stderr: 'pipe', waitForAttach: true },
    })
    .catch((error: unknown) => {
      throw failed(error);
    });
  const kill = async () => {
    try {
      await runtime.kill(id, SIGKILL, { execId });
    } catch (error) {
      if (!(error instanceof RuntimeError && (error.code === 'NotFound' || error.code === 'FailedPrecondition')))
        throw error;
    }
  };
  const forget = async () => {
    try {
      await runtime.deleteExec(id, execId);
    } catch (error) {
      if (!(error instanceof RuntimeError && error.code === 'NotFound')) context.warn(`removing exec ${execId}`, error);
    }
  };
  let attachment: Attachment | undefined;
  try {
    attachment = await runtime.attach(id, execId);
    await runtime.start(id, execId);
  } catch (error) {
    await attachment?.[Symbol.asyncDispose]();
    await kill();
    await forget();
    throw failed(error);
  }
  const attached = attachment;
  const exit = runtime.wait(id, execId);
  exit.catch(() => {});
  return {
    attachment: attached,
    exit,
    resize(size) {
      runtime.resize(id, size, execId).catch((error) => {
        // The process may have ended; anything else leaves the window as it was.
        if (!(error instanceof RuntimeError)) context.warn(`resizing exec ${execId}`, error);
      });
    },
    kill,
    async [Symbol.asyncDispose]() {
      await attached[Symbol.asyncDispose]();
      await kill();
      await exit.catch(() => {});
      await forget();
    },
  };
}

async function containerProcess(context: CriContext, id: string): Promise<Process> {
  const text = await readIfThere(`${bundleFolder(context.paths, id)}/config.json`);
  if (text === undefined)
    throw new RpcError(Code.NotFound, `failed to load task: container ${JSON.stringify(id)}: not found`);
  return parseSpec(text.toString()).process!;
}
