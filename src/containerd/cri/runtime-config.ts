/** RuntimeConfig: which cgroup driver the kubelet shall use. */
import { CgroupDriver, type RuntimeConfigResponse } from '#api-cri/gen/api.ts';
import type { CriContext } from './context.ts';

export function runtimeConfig(context: CriContext): RuntimeConfigResponse {
  return {
    linux: { cgroupDriver: context.cgroupDriver === 'systemd' ? CgroupDriver.SYSTEMD : CgroupDriver.CGROUPFS },
  };
}
