/** Giving a finished file its name, durably. Errors are Node's own. */
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Renames within a file system; when it resolves, the name is on disk. The bytes must have been synced before. */
export async function moveDurably(source: string, target: string): Promise<void> {
  await rename(source, target);
  const folder = await open(dirname(target), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
