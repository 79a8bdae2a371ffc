/** cgroup v2 `memory`. Where v1 counts memory and swap together, v2 counts swap alone. */
import { type ControllerPlan, limitText, type Setting } from '../setting.ts';

export class SwapConversionError extends Error {
  override readonly name = 'SwapConversionError';
}

export const planMemory: ControllerPlan = ({ memory }) => {
  if (memory === undefined) return [];
  const settings: Setting[] = [];
  const swap = swapAlone(memory.swap, memory.limit);
  if (swap !== undefined) settings.push({ file: 'memory.swap.max', value: limitText(swap, 'max') });
  if (memory.limit) settings.push({ file: 'memory.max', value: limitText(memory.limit, 'max') });
  if (memory.reservation) settings.push({ file: 'memory.low', value: limitText(memory.reservation, 'max') });
  return settings;
};

/** Throws SwapConversionError when the total says nothing about swap alone. */
function swapAlone(total: number | undefined, limit: number | undefined): number | undefined {
  if (limit === -1 && total === undefined) return -1;
  if (!total) return undefined;
  if (total === -1) return -1;
  if (limit === -1) return total;
  if (!limit) throw new SwapConversionError('unable to set swap limit without memory limit');
  if (limit < 0) throw new SwapConversionError(`invalid memory value: ${limit}`);
  if (total < limit) throw new SwapConversionError('memory+swap limit should be >= memory limit');
  return total - limit;
}
