/** cgroup v1 `memory`. Kernel: Documentation/admin-guide/cgroup-v1/memory.rst. */
import { type ControllerPlan, limitText, type Setting } from '../setting.ts';

export const planMemory: ControllerPlan = ({ memory }) => {
  if (memory === undefined) return [];
  const settings: Setting[] = [];
  const { limit, swap } = memory;
  const limitSetting = { file: 'memory.limit_in_bytes', value: limitText(limit ?? 0, '-1') };
  // No limit for memory means none for memory and swap together, or the kernel refuses.
  const total = limit === -1 && swap === undefined ? -1 : swap;
  const swapSetting = { file: 'memory.memsw.limit_in_bytes', value: limitText(total ?? 0, '-1') };
  // The total may never be below the limit: when both rise the total goes first, when both fall the limit does.
  if (limit && total) settings.push({ ...swapSetting, soft: true });
  if (limit) settings.push(limitSetting);
  if (total) settings.push(swap === undefined ? { ...swapSetting, soft: true } : swapSetting);
  if (memory.reservation)
    settings.push({ file: 'memory.soft_limit_in_bytes', value: limitText(memory.reservation, '-1') });
  if (memory.disableOOMKiller) settings.push({ file: 'memory.oom_control', value: '1' });
  if (memory.swappiness !== undefined && memory.swappiness >= 0)
    settings.push({ file: 'memory.swappiness', value: String(memory.swappiness) });
  return settings;
};
