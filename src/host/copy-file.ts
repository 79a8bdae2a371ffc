/** Copies one file. Errors are Node's own. */
import { chmod, constants, copyFile as copy } from 'node:fs/promises';

/** Shares the blocks where the file system can. `mode` is exact. */
export async function copyFile(source: string, target: string, mode: number): Promise<void> {
  await copy(source, target, constants.COPYFILE_FICLONE);
  await chmod(target, mode);
}
