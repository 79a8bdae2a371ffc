/** Runs the script again inside network and mount namespaces of its own, with loopback as the only interface: no address can leave the machine. */
import { spawnSync } from 'node:child_process';

const marker = 'WHERRY_OWN_NETWORK';

/** Returns inside; outside it waits for the inner run and exits with its code. */
export function enterOwnNamespaces(): void {
  if (process.env[marker] !== undefined) return;
  const inside = ['ip link set lo up && exec "$0" "$@"', process.execPath, ...process.argv.slice(1)];
  const result = spawnSync('unshare', ['--net', '--mount', '--propagation', 'private', 'sh', '-c', ...inside], {
    stdio: 'inherit',
    env: { ...process.env, [marker]: '1' },
  });
  if (result.error) throw result.error;
  process.exit(result.status ?? 1);
}
