/** What this process takes of the machine's memory and descriptors, whoever else lives in it. */
import { readdirSync } from 'node:fs';

/** Bytes in memory. */
export function residentBytes(): number {
  return process.memoryUsage.rss();
}

/** Open files and sockets; undefined where the system does not say. */
export function openDescriptors(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return undefined;
  }
}
