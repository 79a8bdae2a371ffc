/** What cells are made of: durations as people say them, lists, counts. Source: apimachinery's duration.HumanDuration. */
import type { KubeObject } from '../object.ts';

/** A kind's columns: `Name`, `Name:type`, `+Name` (only in wide output). */
export interface Columns {
  readonly columns: readonly string[];
  readonly row: (
    common: { readonly name: string; readonly age: string },
    // biome-ignore lint/suspicious/noExplicitAny: printers read objects of their own kind, validated when they were stored
    object: KubeObject & any,
    nowMs: number,
  ) => readonly unknown[];
}

/** `5s`, `2m30s`, `3h`, `4d`, `2y10d`: two units while it matters. */
export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (hours < 192) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  if (days < 8 * 365) return days % 365 === 0 ? `${years}y` : `${years}y${days % 365}d`;
  return `${years}y`;
}

export function since(timestamp: string | null | undefined, nowMs: number): string {
  return timestamp ? duration(nowMs - Date.parse(timestamp)) : '<unknown>';
}

export function orNone(text: string | undefined): string {
  return text === undefined || text === '' ? '<none>' : text;
}

/** `a=1,b=2` in the order of keys. */
export function labels(map: Readonly<Record<string, string>> | undefined): string {
  const text = Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  return orNone(text);
}

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

export function selector(value: Selector | undefined): string {
  if (value === undefined) return '<none>';
  const parts = Object.entries(value.matchLabels ?? {}).map(([key, item]) => `${key}=${item}`);
  for (const { key, operator, values = [] } of value.matchExpressions ?? [])
    parts.push(
      operator === 'Exists'
        ? key
        : operator === 'DoesNotExist'
          ? `!${key}`
          : `${key} ${operator.toLowerCase()} (${values.join(',')})`,
    );
  return orNone(parts.sort().join(','));
}

interface Named {
  readonly name: string;
  readonly image?: string;
}

/** Names and images of containers. */
export function containerCells(containers: readonly Named[] | undefined): [names: string, images: string] {
  const list = containers ?? [];
  return [list.map(({ name }) => name).join(','), list.map(({ image }) => image ?? '').join(',')];
}
