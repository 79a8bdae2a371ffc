/** Runs programs for the end-to-end scripts: bounded in time, with all they said in the error. */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Nothing of our own environment besides. */
  readonly onlyEnv?: boolean;
  /** Of a plain user, for instance. */
  readonly uid?: number;
  readonly gid?: number;
  readonly cwd?: string;
  /** What a failure is; by default any exit code but 0. */
  readonly mayFail?: boolean;
  readonly timeoutMs?: number;
}

/** Rejects when the program fails (unless it may) or takes too long. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const { input = '', env = {}, mayFail = false, timeoutMs = 60_000 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...spawnOptions(env, options), stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString('utf8');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString('utf8');
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const said = `${command} ${args.join(' ')}: exit ${code ?? signal}\n${stdout}${stderr}`;
      if (code === null) reject(new Error(`${said}\n(killed after ${timeoutMs} ms)`));
      else if (code !== 0 && !mayFail) reject(new Error(said));
      else resolve({ code, stdout, stderr });
    });
  });
}

type Identity = Pick<RunOptions, 'uid' | 'gid' | 'cwd' | 'onlyEnv'>;

function spawnOptions(env: Readonly<Record<string, string>>, { uid, gid, cwd, onlyEnv = false }: Identity) {
  return {
    env: onlyEnv ? env : { ...process.env, ...env },
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(cwd !== undefined && { cwd }),
  };
}

/** Asks again until `holds` says yes. Rejects with what was last seen. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T>,
  holds: (value: T) => boolean,
  timeoutMs = 30_000,
): Promise<T> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const value = await ask().catch((error: unknown) => error as T);
    if (!(value instanceof Error) && holds(value)) return value;
    if (performance.now() > until)
      throw new Error(
        `${what}: not after ${timeoutMs} ms; last seen: ${value instanceof Error ? value.message : JSON.stringify(value)}`,
      );
    await sleep(100);
  }
}

export interface Running {
  readonly child: ChildProcess;
  /** Everything it has said. */
  readonly output: () => string;
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>;
  /** Ctrl-C on its terminal: SIGINT for it and whatever it started in the foreground. Resolves with the exit code. */
  interrupt(): Promise<number | null>;
  /** As a crash would end them all. */
  kill(): Promise<number | null>;
}

/** Starts a program and leaves it running, as the foreground job of a terminal of its own. */
export function start(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  options: Identity = {},
): Running {
  const child = spawn(command, args, {
    ...spawnOptions(env, options),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => resolve(code));
    child.on('error', () => resolve(null));
  });
  const end = (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, signal);
    return ended;
  };
  return {
    child,
    output: () => output,
    ended,
    interrupt: () => end('SIGINT'),
    kill: () => end('SIGKILL'),
  };
}

/** Waits until `wherry up` says that it is ready. Rejects with what it said when it ends before. */
export async function untilReady(up: Running, timeoutMs = 60_000): Promise<void> {
  await eventually(
    'up is ready',
    async () => up.output(),
    (text) => {
      if (up.child.exitCode !== null) throw new Error(`up ended: ${text}`);
      return text.includes('ready in');
    },
    timeoutMs,
  );
}
