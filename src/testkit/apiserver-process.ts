/**
 * An apiserver as a process of its own, on somebody's etcd, for suites that end one abruptly. Run as a program (its argument is the etcd's URL) it is that
 * process: it prints its port and serves until it is killed; whoever asks is the administrator.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { startApiserver } from '#kube-apiserver/start.ts';
import { createServiceAccountKey } from '#pki/service-account-key.ts';
import { createTokenSigner } from '#pki/token-signer.ts';
import { connectRpc } from '#rpc/client.ts';
import { parseTarget } from '#transport/dial.ts';
import { listen } from '#transport/listen.ts';

const file = new URL(import.meta.url).pathname;
const admin = { user: 'admin', groups: ['system:masters'] };

export interface ApiserverProcess extends AsyncDisposable {
  readonly url: string;
  readonly child: ChildProcess;
  /** Resolves when it is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
}

export async function startApiserverProcess(etcdUrl: string): Promise<ApiserverProcess> {
  const child = spawn(process.execPath, [file, etcdUrl], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const kill = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
  };
  const line = await Promise.race([once(child.stdout, 'data'), exited.then(() => undefined)]);
  if (line === undefined) throw new Error('the apiserver ended before it served');
  return {
    url: `http://127.0.0.1:${String(line[0]).trim()}`,
    child,
    kill,
    [Symbol.asyncDispose]: () => kill('SIGKILL'),
  };
}

async function serve(etcdUrl: string): Promise<void> {
  const { privateKey } = await createServiceAccountKey();
  const server = await startApiserver({
    config: {
      externalAddress: '127.0.0.1:6443',
      advertiseAddress: '127.0.0.1',
      advertisePort: 6443,
      serviceAccountIssuer: 'https://kubernetes.default.svc.cluster.local',
      serviceClusterIpRange: '10.96.0.0/16',
      version: 'v1.36.3+wherry.test',
    },
    deps: {
      etcd: connectRpc({ target: parseTarget(etcdUrl), clock: systemClock }),
      clock: systemClock,
      prng: systemPrng(),
      signer: await createTokenSigner({ privateKey }, { clock: systemClock }),
      dialKubelet: () => undefined,
      log: () => {},
    },
  });
  const { port } = await listen({
    address: { host: '127.0.0.1', port: 0 },
    handler: (request) => server.handler({ ...request, peer: { ...request.peer, component: admin } }),
  });
  process.stdout.write(`${port}\n`);
}

if (process.argv[1] === file) await serve(process.argv[2]!);
