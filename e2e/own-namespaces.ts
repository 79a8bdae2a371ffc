/**
 * Runs the script again inside namespaces of its own: the network has loopback as the only interface, so that no address can leave the machine; mounts are its own;
 * and whatever it started ends with it, as it has the processes to itself.
 */
import { spawnSync } from 'node:child_process';

const marker = 'WHERRY_OWN_NETWORK';

export function inOwnNamespaces(): boolean {
  return process.env[marker] !== undefined;
}

/**
 * Returns inside; outside it waits for the inner run and exits with its code.
 * @returns a word that no other run on this machine has: for names of what is not in a namespace, such as cgroups
 */
export function enterOwnNamespaces(): string {
  const outer = process.env[marker];
  if (outer !== undefined) return outer;
  const unshare = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'];
  // A shell stays as process 1: orphans are its children then, and it reaps them.
  const inside = ['ip link set lo up && "$0" "$@"; exit $?', process.execPath, ...process.argv.slice(1)];
  const result = spawnSync('unshare', [...unshare, 'sh', '-c', ...inside], {
    stdio: 'inherit',
    env: { ...process.env, [marker]: String(process.pid % 100_000) },
  });
  if (result.error) throw result.error;
  process.exit(result.status ?? 1);
}
