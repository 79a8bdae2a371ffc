/** Runs an etcd binary (the reference, or ours behind the same flags) as one member on loopback, for suites. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

export interface EtcdProcess extends AsyncDisposable {
  readonly clientPort: number;
  readonly clientUrl: string;
  readonly child: ChildProcess;
  /** What it logged so far. */
  readonly log: () => string;
  /** Ends it by `signal` and waits; SIGKILL is a crash. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const startTimeoutMs = 20_000;

/** Starts a member on a free port and waits until it serves. */
export async function startEtcdProcess(options: {
  readonly command: readonly string[];
  readonly dataDir: string;
  readonly clientPort?: number;
  readonly flags?: readonly string[];
}): Promise<EtcdProcess> {
  const clientPort = options.clientPort ?? (await freePort());
  const peerPort = await freePort();
  const clientUrl = `http://127.0.0.1:${clientPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const [binary, ...args] = options.command;
  const child = spawn(
    binary!,
    [
      ...args,
      ...['--name', 'default', '--data-dir', options.dataDir],
      ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
      ...['--listen-peer-urls', peerUrl],
      ...(options.flags ?? []),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-200_000);
    });
  const exited = once(child, 'exit');
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
  };
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${binary} ended:\n${log}`);
    if (await isHealthy(clientUrl)) break;
    if (Date.now() > deadline) {
      await stop('SIGKILL');
      throw new Error(`${binary} does not serve:\n${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { clientPort, clientUrl, child, log: () => log, stop, [Symbol.asyncDispose]: () => stop() };
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(1000) });
    return response.ok;
  } catch {
    return false;
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
