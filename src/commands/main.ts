/**
 * The program's entry: the first argument names a command, each in a file of its own that is loaded only when asked for.
 * A command gets its arguments and an environment, and returns an exit code; nothing else here decides anything.
 */
import { type Command, CommandError } from './command.ts';

const commands: Readonly<Record<string, { readonly summary: string; readonly load: () => Promise<Command> }>> = {
  etcd: { summary: 'run an etcd server', load: async () => (await import('./etcd/etcd.ts')).etcd },
  etcdctl: {
    summary: 'ask an etcd server',
    load: async () => (await import('./etcdctl/etcdctl.ts')).etcdctl,
  },
  etcdutl: {
    summary: 'inspect and restore etcd snapshots',
    load: async () => (await import('./etcdutl.ts')).etcdutl,
  },
  image: { summary: 'list, remove, import and pack images', load: async () => (await import('./image.ts')).image },
  runc: { summary: 'run OCI bundles', load: async () => (await import('./runc.ts')).runc },
  down: { summary: 'stop a cluster and take it away', load: async () => (await import('./down.ts')).down },
  kubectl: {
    summary: 'get, describe, create, apply, delete, logs, exec',
    load: async () => (await import('./kubectl/kubectl.ts')).kubectl,
  },
  kubeconfig: { summary: 'print a kubeconfig', load: async () => (await import('./kubeconfig.ts')).kubeconfig },
  server: { summary: 'run one control plane of several', load: async () => (await import('./server.ts')).server },
  status: { summary: 'show how a cluster is', load: async () => (await import('./status.ts')).status },
  stop: { summary: 'stop a cluster; its data stays', load: async () => (await import('./stop.ts')).stop },
  up: { summary: 'start a cluster on this machine', load: async () => (await import('./up.ts')).up },
  why: { summary: 'tell what made an object as it is', load: async () => (await import('./why.ts')).why },
  version: { summary: 'print the version', load: async () => (await import('./version.ts')).version },
};

// Whoever read our output has gone (`| head`): there is nobody to tell.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

async function main(): Promise<number> {
  const [name = 'help', ...args] = process.argv.slice(2);
  const entry = commands[name];
  if (entry === undefined) {
    const asked = name === 'help' || name === '--help' || name === '-h';
    const out = asked ? process.stdout : process.stderr;
    if (!asked) out.write(`wherry: unknown command "${name}"\n`);
    out.write('Usage: wherry COMMAND [ARGUMENT...]\n\nCommands:\n');
    for (const [key, { summary }] of Object.entries(commands)) out.write(`  ${key.padEnd(12)} ${summary}\n`);
    return asked ? 0 : 2;
  }
  const command = await entry.load();
  // Node makes a stream non-blocking when it is first looked at: a command that hands its streams on must not have looked.
  return command(args, {
    env: process.env,
    get stdout() {
      return process.stdout;
    },
    get stderr() {
      return process.stderr;
    },
    get stdin() {
      return process.stdin;
    },
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof CommandError)) throw error;
  process.stderr.write(`wherry: ${error.message}\n`);
  process.exitCode = error.exitCode;
}
