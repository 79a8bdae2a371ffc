/** Where the committed binaries for this machine are. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The container helper of this processor. Throws when there is none: then containers cannot run here. */
export function findHelper(start: string = fileURLToPath(import.meta.url)): string {
  return findBinary('wherry-helper', start);
}

/** The one program of the built-in image; called `pause` it holds a pod's shared pid namespace. Throws as {@link findHelper}. */
export function findHello(start: string = fileURLToPath(import.meta.url)): string {
  return findBinary('wherry-hello', start);
}

/** Found from where this program's files are (sources or bundle). */
function findBinary(name: string, start: string): string {
  if (process.platform !== 'linux') throw new Error(`containers need Linux, this is ${process.platform}`);
  for (let folder = dirname(start); ; folder = dirname(folder)) {
    const path = join(folder, 'native', 'bin', `${name}-${process.arch}`);
    if (existsSync(path)) return path;
    if (folder === dirname(folder)) throw new Error(`no ${name} for ${process.arch} beside ${start}`);
  }
}
