/** Statistics of cgroups v2. */
import { join } from 'node:path';
import { readKeyed, readNumber } from '../files.ts';
import type { CgroupStats } from '../manager.ts';

const nsPerUs = 1000n;

export async function readStats(folder: string): Promise<CgroupStats> {
  const [cpu, usage, limit, memory, events, swap, pids, pidsMax] = await Promise.all([
    readKeyed(join(folder, 'cpu.stat')),
    readNumber(join(folder, 'memory.current')),
    readNumber(join(folder, 'memory.max')),
    readKeyed(join(folder, 'memory.stat')),
    readKeyed(join(folder, 'memory.events')),
    readNumber(join(folder, 'memory.swap.current')),
    readNumber(join(folder, 'pids.current')),
    readNumber(join(folder, 'pids.max')),
  ]);
  const used = usage ?? 0n;
  const inactive = memory.get('inactive_file') ?? 0n;
  const time = (key: string) => cpu.get(key) ?? 0n;
  return {
    cpu: {
      usage: time('usage_usec') * nsPerUs,
      user: time('user_usec') * nsPerUs,
      system: time('system_usec') * nsPerUs,
      ...(cpu.has('nr_periods')
        ? {
            periods: time('nr_periods'),
            throttledPeriods: time('nr_throttled'),
            throttled: time('throttled_usec') * nsPerUs,
          }
        : {}),
    },
    memory: {
      usage: used,
      ...(limit === undefined ? {} : { limit }),
      workingSet: used > inactive ? used - inactive : 0n,
      rss: memory.get('anon') ?? 0n,
      pageFaults: memory.get('pgfault') ?? 0n,
      majorPageFaults: memory.get('pgmajfault') ?? 0n,
      ...(swap === undefined ? {} : { swapUsage: swap }),
      ...(events.has('oom_kill') ? { oomKills: events.get('oom_kill')! } : {}),
    },
    pids: { current: Number(pids ?? 0n), ...(pidsMax === undefined ? {} : { limit: Number(pidsMax) }) },
  };
}
