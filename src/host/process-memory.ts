/** What this process takes of the machine's memory and descriptors, whoever else lives in it, and since when. */
import { readdirSync } from 'node:fs';
import { totalmem } from 'node:os';

/** Bytes in memory. */
export function residentBytes(): number {
  return process.memoryUsage.rss();
}

/** When it was started: seconds since 1970, by the clock as it was then. */
export function startTimeSeconds(): number {
  return performance.timeOrigin / 1000;
}

/** Open files and sockets; undefined where the system does not say. */
export function openDescriptors(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return undefined;
  }
}

/** Bytes of memory that this process may use: the machine's, or what its control group allows if that is less. */
export function availableMemoryBytes(): number {
  const allowed = process.constrainedMemory();
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem();
}
