/** What is mounted where, in the daemon's own mount namespace. proc_pid_mountinfo(5). */
import { readFileSync } from 'node:fs';

/** Mount points at `folder` and below it, in the order to take them off: the latest first. */
export function mountPointsUnder(folder: string): string[] {
  return parseMountPoints(readFileSync('/proc/self/mountinfo', 'utf8'))
    .filter((path) => path === folder || path.startsWith(`${folder}/`))
    .reverse();
}

/** Mount points of a mountinfo file, in its order: a mount stands after what it is mounted on. */
export function parseMountPoints(mountinfo: string): string[] {
  return mountinfo
    .split('\n')
    .filter(Boolean)
    .map((line) => unescapeOctal(line.split(' ')[4]!));
}

/** The file writes space, tab, newline and backslash as \ooo. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
