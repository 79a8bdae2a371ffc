/** cgroup v2 `rdma` (the v1 file is the same). */
import type { ControllerPlan } from '../setting.ts';

export const planRdma: ControllerPlan = ({ rdma }) =>
  Object.entries(rdma ?? {}).map(([device, { hcaHandles, hcaObjects }]) => ({
    file: 'rdma.max',
    value: `${device} hca_handle=${hcaHandles ?? 'max'} hca_object=${hcaObjects ?? 'max'}`,
  }));
