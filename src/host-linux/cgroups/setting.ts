/** One value for one file of a cgroup: what controllers plan and managers write. */
import type { CgroupResources } from './resources.ts';

export interface Setting {
  readonly file: string;
  readonly value: string;
  /** A refusal is not an error. */
  readonly soft?: boolean;
}

/** A controller's part of resources, as the files of its hierarchy want it. Pure. */
export type ControllerPlan = (resources: CgroupResources) => Setting[];

/** A limit of which -1 means none. */
export function limitText(value: number, unlimited: string): string {
  return value < 0 ? unlimited : String(value);
}
