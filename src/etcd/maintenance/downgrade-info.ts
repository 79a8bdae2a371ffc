/** That a cluster is being downgraded, as its members keep it. */

export interface DowngradeInfo {
  readonly enabled: boolean;
  /** `3.4.0`; empty when nothing is under way. */
  readonly targetVersion: string;
}

export const noDowngrade: DowngradeInfo = { enabled: false, targetVersion: '' };
