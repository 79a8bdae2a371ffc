/**
 * Whether somebody holds a lock (flock, fcntl) on a file: as the kernel tells it in /proc/locks. For files that other programs lock in their own
 * way; where the system does not say, nobody does.
 */
import { readFileSync, statSync } from 'node:fs';

/** @throws Node's errors for a file that is not there */
export function isLocked(path: string): boolean {
  const { dev, ino } = statSync(path);
  let text: string;
  try {
    text = readFileSync('/proc/locks', 'utf8');
  } catch {
    return false;
  }
  // Linux keeps the minor number in two pieces around the major one.
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  const hex = (part: number) => part.toString(16).padStart(2, '0');
  return text.includes(` ${hex(major)}:${hex(minor)}:${ino} `);
}
