/** What commands take from the process's environment: who runs us, and where that user keeps things. */
import { chownSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { PathEnvironment } from '#cluster/paths.ts';

type Env = Readonly<Record<string, string | undefined>>;

export function pathEnvironment(env: Env): PathEnvironment {
  return {
    root: process.geteuid?.() === 0,
    home: homedir(),
    xdgDataHome: env['XDG_DATA_HOME'],
    xdgRuntimeDir: env['XDG_RUNTIME_DIR'],
  };
}

/** The file that kubectl reads: the first of `$KUBECONFIG`, else the caller's own. Under sudo the caller is who called sudo. */
export function kubeconfigPath(env: Env): string {
  const [first] = (env['KUBECONFIG'] ?? '').split(':').filter((path) => path !== '');
  return first ?? join(homedir(), '.kube', 'config');
}

/** Gives a file to the caller of sudo, so that they can read what was made for them. */
export function giveToCaller(path: string, env: Env): void {
  const uid = Number(env['SUDO_UID'] ?? Number.NaN);
  const gid = Number(env['SUDO_GID'] ?? Number.NaN);
  if (Number.isInteger(uid) && Number.isInteger(gid)) chownSync(path, uid, gid);
}
