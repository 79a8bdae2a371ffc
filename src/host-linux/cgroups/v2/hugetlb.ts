/** cgroup v2 `hugetlb`. */
import type { ControllerPlan } from '../setting.ts';

export const planHugetlb: ControllerPlan = ({ hugepageLimits }) =>
  (hugepageLimits ?? []).flatMap(({ pageSize, limit }) => [
    { file: `hugetlb.${pageSize}.max`, value: String(limit) },
    // Reservations are counted apart since Linux 5.7.
    { file: `hugetlb.${pageSize}.rsvd.max`, value: String(limit), soft: true },
  ]);
