/** Statistics of cgroups v1. */
import { join } from 'node:path';
import { readKeyed, readNumber } from '../files.ts';
import type { CgroupFolders, CgroupStats } from '../manager.ts';

/** What v1 calls no limit: the largest page-aligned number. */
const unlimitedBytes = 1n << 62n;
/** USER_HZ, in which cpuacct.stat counts; fixed by the ABI. */
const nsPerTick = 10_000_000n;

export async function readStats(folders: CgroupFolders): Promise<CgroupStats> {
  const file = (controller: string, name: string) => join(folders[controller] ?? '/nonexistent', name);
  const [usage, times, throttling, memoryUsage, memoryLimit, memory, memsw, oom, pids, pidsMax] = await Promise.all([
    readNumber(file('cpuacct', 'cpuacct.usage')),
    readKeyed(file('cpuacct', 'cpuacct.stat')),
    readKeyed(file('cpu', 'cpu.stat')),
    readNumber(file('memory', 'memory.usage_in_bytes')),
    readNumber(file('memory', 'memory.limit_in_bytes')),
    readKeyed(file('memory', 'memory.stat')),
    readNumber(file('memory', 'memory.memsw.usage_in_bytes')),
    readKeyed(file('memory', 'memory.oom_control')),
    readNumber(file('pids', 'pids.current')),
    readNumber(file('pids', 'pids.max')),
  ]);
  const used = memoryUsage ?? 0n;
  const inactive = memory.get('total_inactive_file') ?? 0n;
  return {
    cpu: {
      usage: usage ?? 0n,
      user: (times.get('user') ?? 0n) * nsPerTick,
      system: (times.get('system') ?? 0n) * nsPerTick,
      ...present('periods', throttling.get('nr_periods')),
      ...present('throttledPeriods', throttling.get('nr_throttled')),
      ...present('throttled', throttling.get('throttled_time')),
    },
    memory: {
      usage: used,
      ...present('limit', memoryLimit !== undefined && memoryLimit < unlimitedBytes ? memoryLimit : undefined),
      workingSet: used > inactive ? used - inactive : 0n,
      rss: memory.get('total_rss') ?? 0n,
      pageFaults: memory.get('total_pgfault') ?? 0n,
      majorPageFaults: memory.get('total_pgmajfault') ?? 0n,
      ...present('swapUsage', memsw === undefined ? undefined : memsw > used ? memsw - used : 0n),
      ...present('oomKills', oom.get('oom_kill')),
    },
    pids: { current: Number(pids ?? 0n), ...(pidsMax === undefined ? {} : { limit: Number(pidsMax) }) },
  };
}

function present<K extends string>(key: K, value: bigint | undefined): { readonly [k in K]?: bigint } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [k in K]?: bigint });
}
