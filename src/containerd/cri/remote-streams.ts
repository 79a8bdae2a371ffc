/** Nouns of remote commands: a client's end, a process's end, and how its end is told; whatever the wire. */

/** The streams a client has asked for. */
export interface StreamFlags {
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** What the process behind the streams can do. */
export interface RemoteProcess {
  /** False: `await drained()` before the next one. */
  write(data: Uint8Array): boolean;
  drained(): Promise<void>;
  closeStdin(): void;
  resize(size: { readonly width: number; readonly height: number }): void;
}

export type Outcome = { readonly exitCode: number } | { readonly error: string };

/** A client's end. */
export interface RemoteStreams {
  /** Sends one of the process's streams; resolves when there is room for more. A stream that was not asked for is dropped. */
  send(stream: 'stdout' | 'stderr', data: Uint8Array): Promise<void>;
  /** Feeds the process with what the client sends, until the client goes. */
  receive(process: RemoteProcess, stdin: boolean): Promise<void>;
  /** Tells how it ended; the last thing that is sent. */
  finish(outcome: Outcome): void;
  /** Resolves when the client is gone. */
  readonly closed: Promise<void>;
}

/** The `Status` on the error stream. */
export function statusOf(outcome: Outcome): object {
  if ('error' in outcome)
    return {
      metadata: {},
      status: 'Failure',
      message: outcome.error,
      reason: 'InternalError',
      details: { causes: [{ message: outcome.error }] },
      code: 500,
    };
  return outcome.exitCode === 0
    ? { metadata: {}, status: 'Success' }
    : {
        metadata: {},
        status: 'Failure',
        message: `command terminated with non-zero exit code: exit status ${outcome.exitCode}`,
        reason: 'NonZeroExitCode',
        details: { causes: [{ reason: 'ExitCode', message: String(outcome.exitCode) }] },
      };
}

/** `{"Width":80,"Height":24}`; undefined for what is none. */
export function parseSize(data: Uint8Array): { width: number; height: number } | undefined {
  try {
    const { Width, Height } = JSON.parse(Buffer.from(data).toString()) as { Width?: unknown; Height?: unknown };
    const fits = (value: unknown): value is number =>
      Number.isInteger(value) && (value as number) > 0 && (value as number) < 1 << 16;
    return fits(Width) && fits(Height) ? { width: Width, height: Height } : undefined;
  } catch {
    return undefined;
  }
}
