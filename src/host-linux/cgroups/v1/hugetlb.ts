/** cgroup v1 `hugetlb`: one limit a page size, `2MB`. */
import type { ControllerPlan } from '../setting.ts';

export const planHugetlb: ControllerPlan = ({ hugepageLimits }) =>
  (hugepageLimits ?? []).map(({ pageSize, limit }) => ({
    file: `hugetlb.${pageSize}.limit_in_bytes`,
    value: String(limit),
  }));
