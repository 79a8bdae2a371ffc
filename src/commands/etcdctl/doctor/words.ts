/** Figures as people read them. */

/** As large as it is: bytes with units of 1000. */
export { humanBytes } from '../print.ts';

const units = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
] as const;

/** The two largest units: `3d 4h`, `2h 5m`, `1.5s`, `12ms`. */
export function humanMs(ms: number): string {
  if (ms < 0) return `-${humanMs(-ms)}`;
  if (ms < 999.5) return `${trimmed(ms, ms < 9.95 ? 1 : 0)}ms`;
  if (ms < 59_950) return `${trimmed(ms / 1000, 1)}s`;
  const wholeMs = Math.max(ms, 60_000);
  const at = units.findIndex(([size]) => wholeMs >= size);
  const [size, unit] = units[at]!;
  const whole = Math.floor(wholeMs / size);
  const [smallSize, smallUnit] = units[at + 1] ?? [1000, 's'];
  const rest = Math.floor((wholeMs - whole * size) / smallSize);
  return rest === 0 ? `${whole}${unit}` : `${whole}${unit} ${rest}${smallUnit}`;
}

/** Whole percent, but not 100% for what is not all of it. */
export function percent(ratio: number): string {
  return `${ratio < 1 ? Math.min(99, Math.round(ratio * 100)) : Math.round(ratio * 100)}%`;
}

/** `1 member`, `2 members`. */
export function counted(count: number, what: string, many = `${what}s`): string {
  return `${count} ${count === 1 ? what : many}`;
}

/**
 * As a shell takes it for one word on one line: names and addresses come from members, and commands are there to be pasted. A character that
 * cannot be seen becomes a question mark.
 */
export function quoted(word: string): string {
  if (/^[-\w./:=@,]+$/.test(word)) return word;
  return `'${word.replaceAll(/\p{Cc}/gu, '?').replaceAll("'", "'\\''")}'`;
}

function trimmed(value: number, digits: number): string {
  return value.toFixed(digits).replace(/\.0+$/, '');
}
