/** Runs an etcd binary (the reference, or ours behind the same flags) as one member on loopback, for suites. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';

export interface EtcdProcess extends AsyncDisposable {
  readonly clientPort: number;
  readonly clientUrl: string;
  readonly child: ChildProcess;
  /** What it logged so far. */
  readonly log: () => string;
  /** Ends it by `signal` and waits; SIGKILL is a crash. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const startTimeoutMs = 60_000;

/** Starts a member on a free port and waits until it serves. */
export async function startEtcdProcess(options: {
  readonly command: readonly string[];
  readonly dataDir: string;
  readonly clientPort?: number;
  readonly flags?: readonly string[];
}): Promise<EtcdProcess> {
  const [freeClientPort, peerPort] = await freePorts(2);
  const clientPort = options.clientPort ?? freeClientPort!;
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

/** By a plain request: `fetch` would ask a proxy where the environment names one. */
function isHealthy(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(`${url}/health`, { agent: new Agent(), timeout: 1000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

/** Ports of loopback that nobody listens on, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  return ports;
}
