/** The machine's own name. */
import { hostname } from 'node:os';

export function nodeHostname(): string {
  return hostname();
}
