/** cgroup v1 `devices`: a list of what is allowed. Kernel: Documentation/admin-guide/cgroup-v1/devices.rst. */

import { allowedByDefault } from '../default-devices.ts';
import type { DeviceRule } from '../resources.ts';
import type { ControllerPlan, Setting } from '../setting.ts';

export const planDevices: ControllerPlan = ({ devices }) => {
  const settings: Setting[] = [{ file: 'devices.deny', value: 'a' }];
  let everything = false;
  for (const rule of devices ?? []) {
    everything = isEverything(rule) ? rule.allow : everything;
    settings.push({ file: rule.allow ? 'devices.allow' : 'devices.deny', value: text(rule) });
  }
  if (!everything) for (const rule of allowedByDefault) settings.push({ file: 'devices.allow', value: text(rule) });
  return settings;
};

function isEverything({ type, major, minor }: DeviceRule): boolean {
  return (type === undefined || type === '' || type === 'a') && (major ?? -1) < 0 && (minor ?? -1) < 0;
}

function text(rule: DeviceRule): string {
  if (isEverything(rule)) return 'a';
  const number = (value: number | undefined) => (value === undefined || value < 0 ? '*' : String(value));
  return `${rule.type} ${number(rule.major)}:${number(rule.minor)} ${rule.access || 'rwm'}`;
}
