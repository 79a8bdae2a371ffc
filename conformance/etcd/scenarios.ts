/** All scenarios, in the order they run in. */
import { authScenarios } from './auth.ts';
import { kvScenarios } from './kv.ts';
import { lockAndElectionScenarios } from './lock-and-election.ts';
import { maintenanceScenarios } from './maintenance.ts';
import type { Scenario } from './script.ts';
import { watchAndLeaseScenarios } from './watch-and-lease.ts';

export const scenarios: readonly Scenario[] = [
  ...kvScenarios,
  ...watchAndLeaseScenarios,
  ...maintenanceScenarios,
  ...lockAndElectionScenarios,
  ...authScenarios,
];
