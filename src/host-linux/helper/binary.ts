/** Where the helper's binary for this machine is. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The committed binary of this processor, found from where this program's files are (sources or bundle).
 * Throws when there is none: then containers cannot run here.
 */
export function findHelper(start: string = fileURLToPath(import.meta.url)): string {
  if (process.platform !== 'linux') throw new Error(`containers need Linux, this is ${process.platform}`);
  for (let folder = dirname(start); ; folder = dirname(folder)) {
    const path = join(folder, 'native', 'bin', `wherry-helper-${process.arch}`);
    if (existsSync(path)) return path;
    if (folder === dirname(folder)) throw new Error(`no container helper for ${process.arch} beside ${start}`);
  }
}
