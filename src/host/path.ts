/** Paths as text. */
import { dirname } from 'node:path';

export function parentFolder(path: string): string {
  return dirname(path);
}
