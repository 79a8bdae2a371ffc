/** What a command is: a function from arguments and environment to an exit code. */

export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

export type Command = (args: readonly string[], context: CommandContext) => Promise<number>;

/** Exit codes that scripts may rely on. */
export const ExitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** The machine or the user lacks something: rights, a free port, disk. */
  environment: 3,
  /** What was asked for is not there. */
  notFound: 4,
  timeout: 5,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** A failure to tell the user about in one line: what failed, why, and what to do. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
