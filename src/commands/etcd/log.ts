/** The server's log: lines as zap writes them, JSON or for people, of a level and above, to the standard streams and files. */
import { appendFileSync } from 'node:fs';

const levels = ['debug', 'info', 'warn', 'error', 'dpanic', 'panic', 'fatal'] as const;
export type LogLevel = (typeof levels)[number];

export type Log = (level: LogLevel, message: string, more?: Readonly<Record<string, unknown>>) => void;

export interface LogOptions {
  readonly level: string;
  readonly format: string;
  /** `stderr`, `stdout`, `default` (stderr), or files. */
  readonly outputs: readonly string[];
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** What is wrong with the options; undefined when nothing is. */
export function logProblem({ level, format }: Pick<LogOptions, 'level' | 'format'>): string | undefined {
  if (!(levels as readonly string[]).includes(level)) return `unrecognized level: ${JSON.stringify(level)}`;
  if (format !== 'json' && format !== 'console') return `unknown log format: ${format}, supported values json, console`;
  return undefined;
}

export function createLog({ level, format, outputs, stdout, stderr }: LogOptions): Log {
  const least = levels.indexOf(level as LogLevel);
  const write = (line: string) => {
    for (const output of outputs)
      if (output === 'stdout' || output === '/dev/stdout') stdout.write(line);
      else if (output === 'stderr' || output === 'default' || output === '/dev/stderr') stderr.write(line);
      // The systemd journal takes standard error.
      else if (output === 'systemd/journal') stderr.write(line);
      else appendFileSync(output, line);
  };
  return (at, message, more = {}) => {
    if (levels.indexOf(at) < least) return;
    const ts = new Date().toISOString();
    if (format === 'json') {
      write(`${JSON.stringify({ level: at, ts, msg: message, ...more })}\n`);
      return;
    }
    const rest = Object.keys(more).length === 0 ? '' : `\t${JSON.stringify(more)}`;
    write(`${ts}\t${at}\t${message}${rest}\n`);
  };
}
