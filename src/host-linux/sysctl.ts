/** Kernel settings under /proc/sys. proc_sys(5). */
import { readFileSync, writeFileSync } from 'node:fs';

/** @param name with slashes: `net/ipv4/ip_forward`. @throws Node's error, which names the file */
export function setSysctl(name: string, value: string): void {
  const path = `/proc/sys/${name}`;
  // Where it is already so, a read-only /proc is no obstacle.
  if (readFileSync(path, 'utf8').trim() === value) return;
  writeFileSync(path, value);
}
