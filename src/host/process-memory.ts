/** What this process takes of the machine's memory and descriptors, whoever else lives in it, and since when. */
import { readdirSync, readFileSync } from 'node:fs';
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

/** How many files and sockets it may have open; undefined where the system does not say. */
export function descriptorsMax(): number | undefined {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

/** Bytes: all of it, the engine's heap and what is used of that, and what the engine keeps beside its heap. */
export function memoryUse(): Pick<NodeJS.MemoryUsage, 'rss' | 'heapTotal' | 'heapUsed' | 'external'> {
  return process.memoryUsage();
}

/** Bytes of memory that this process may use: the machine's, or what its control group allows if that is less. */
export function availableMemoryBytes(): number {
  const allowed = process.constrainedMemory();
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem();
}
