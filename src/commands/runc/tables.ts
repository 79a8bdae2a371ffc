/** What runc prints: states as JSON, lists as tables, statistics as events. */
import type { ContainerState, Stats } from '#runtime/runtime.ts';
import { ociVersion } from './spec.ts';

/** Nanoseconds since 1970 in RFC 3339 as Go prints it. */
export function rfc3339(ns: bigint): string {
  const seconds = new Date(Number(ns / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  const fraction = String(ns % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${seconds}${fraction === '' ? '' : `.${fraction}`}Z`;
}

export function stateJson(state: ContainerState) {
  return {
    ociVersion,
    id: state.id,
    pid: state.pid,
    status: state.status,
    bundle: state.bundle,
    rootfs: state.rootfs,
    created: rfc3339(state.createdAt),
    ...(Object.keys(state.annotations).length === 0 ? {} : { annotations: state.annotations }),
    owner: '',
  };
}

export function listTable(states: readonly ContainerState[]): string {
  const rows = states.map((state) => [
    state.id,
    String(state.pid),
    state.status,
    state.bundle,
    rfc3339(state.createdAt),
    'root',
  ]);
  return align([['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'], ...rows]);
}

/** As Go's tabwriter with cells of at least 12 and 3 spaces between. */
function align(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(12, ...rows.map((row) => row[column]!.length + 3)));
  return rows
    .map((row) => `${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!))).join('')}\n`)
    .join('');
}

/** The lines of `ps -ef` that are of these processes, with its head. Throws without a PID column. */
export function filterPs(output: string, pids: readonly number[]): string {
  const lines = output.split('\n').filter(Boolean);
  const column = (lines[0] ?? '').trim().split(/\s+/).indexOf('PID');
  if (column < 0) throw new Error("couldn't find PID field in ps output");
  const wanted = new Set(pids.map(String));
  return lines
    .filter((line, i) => i === 0 || wanted.has(line.trim().split(/\s+/)[column] ?? ''))
    .map((line) => `${line}\n`)
    .join('');
}

export function statsEvent(id: string, { cpu, memory, pids }: Stats) {
  return {
    type: 'stats',
    id,
    data: {
      cpu: {
        usage: { total: Number(cpu.usage), kernel: Number(cpu.system), user: Number(cpu.user) },
        throttling: {
          ...(cpu.periods === undefined ? {} : { periods: Number(cpu.periods) }),
          ...(cpu.throttledPeriods === undefined ? {} : { throttledPeriods: Number(cpu.throttledPeriods) }),
          ...(cpu.throttled === undefined ? {} : { throttledTime: Number(cpu.throttled) }),
        },
      },
      memory: {
        usage: { limit: Number(memory.limit ?? 0xffff_ffff_ffff_ffffn), usage: Number(memory.usage), failcnt: 0 },
        raw: {
          rss: Number(memory.rss),
          pgfault: Number(memory.pageFaults),
          pgmajfault: Number(memory.majorPageFaults),
        },
      },
      pids: { current: pids.current, ...(pids.limit === undefined ? {} : { limit: pids.limit }) },
    },
  };
}
