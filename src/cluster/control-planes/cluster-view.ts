/**
 * Several control planes seen together: who leads, how far the others are behind, who holds the leases, and what has changed since the last look. Pure: whoever asks
 * them brings what they said, and when.
 */
import type { LeaseStatus, PlaneStatus } from './plane-status.ts';

export interface PlaneSight {
  readonly name: string;
  /** Undefined: its process is not there. */
  readonly pid: number | undefined;
  /** Undefined: it does not answer. */
  readonly status: PlaneStatus | undefined;
  /** Resident set in bytes; 0 for a dead one. */
  readonly memoryBytes: number;
}

export type PlaneState = 'dead' | 'silent' | 'starting' | 'ready' | 'closed' | 'stopping';

export function stateOf({ pid, status }: PlaneSight): PlaneState {
  if (pid === undefined) return 'dead';
  if (status === undefined) return 'silent';
  if (status.phase !== 'ready') return status.phase;
  return status.open ? 'ready' : 'closed';
}

/** The one that says it leads; of two, the one of the later term. */
export function leaderOf(sights: readonly PlaneSight[]): PlaneSight | undefined {
  const leading = sights.filter(({ status }) => status?.member?.role === 'leader');
  return leading.sort((a, b) => b.status!.member!.term - a.status!.member!.term)[0];
}

/** Entries that the leader knows to be committed and this one has not applied; undefined where nobody can say. */
export function lagOf(sight: PlaneSight, leader: PlaneSight | undefined): number | undefined {
  const [own, first] = [sight.status?.member, leader?.status?.member];
  return own === undefined || first === undefined ? undefined : Math.max(0, first.committedIndex - own.appliedIndex);
}

/** The leases as the one sees them that is furthest. */
export function leasesOf(sights: readonly PlaneSight[]): readonly LeaseStatus[] {
  const newest = new Map<string, LeaseStatus>();
  for (const { status } of sights)
    for (const lease of status?.leases ?? []) {
      const known = newest.get(lease.name);
      if (known === undefined || lease.renewTime > known.renewTime) newest.set(lease.name, lease);
    }
  return [...newest.values()];
}

export type ViewEvent =
  | { readonly event: 'state'; readonly name: string; readonly state: PlaneState }
  /** `gapMs`: from the last time a leader was seen until now; undefined for the first one. */
  | { readonly event: 'leader'; readonly name: string; readonly term: number; readonly gapMs: number | undefined }
  /** `gapMs`: from the last renewal of the one before to this one's first. */
  | { readonly event: 'lease'; readonly name: string; readonly holder: string; readonly gapMs: number | undefined };

/** Remembers the last look, and tells what is new in the next. */
export class ClusterWatch {
  readonly #states = new Map<string, PlaneState>();
  readonly #leases = new Map<string, LeaseStatus>();
  #leader: { readonly name: string; readonly term: number } | undefined;
  #ledAtMs = 0;

  /** @param atMs monotonic */
  look(sights: readonly PlaneSight[], atMs: number): ViewEvent[] {
    return [...this.#newStates(sights), ...this.#newLeader(sights, atMs), ...this.#newLeases(sights)];
  }

  *#newStates(sights: readonly PlaneSight[]): Generator<ViewEvent> {
    for (const sight of sights) {
      const state = stateOf(sight);
      if (this.#states.get(sight.name) === state) continue;
      this.#states.set(sight.name, state);
      yield { event: 'state', name: sight.name, state };
    }
  }

  *#newLeader(sights: readonly PlaneSight[], atMs: number): Generator<ViewEvent> {
    const leader = leaderOf(sights);
    if (leader === undefined) return;
    const { name } = leader;
    const { term } = leader.status!.member!;
    const before = this.#leader;
    // One that woke up may not know yet that another leads.
    if (before !== undefined && term < before.term) return;
    if (before?.name !== name || before.term !== term) {
      this.#leader = { name, term };
      yield { event: 'leader', name, term, gapMs: before === undefined ? undefined : Math.round(atMs - this.#ledAtMs) };
    }
    this.#ledAtMs = atMs;
  }

  *#newLeases(sights: readonly PlaneSight[]): Generator<ViewEvent> {
    for (const lease of leasesOf(sights)) {
      const before = this.#leases.get(lease.name);
      this.#leases.set(lease.name, lease);
      if (before?.holder === lease.holder || lease.holder === '') {
        // Who gave it back counts as its last holder until somebody takes it.
        if (before !== undefined && lease.holder === '') this.#leases.set(lease.name, { ...before });
        continue;
      }
      const gapMs = before === undefined ? undefined : Date.parse(lease.acquireTime) - Date.parse(before.renewTime);
      yield { event: 'lease', name: lease.name, holder: lease.holder, gapMs };
    }
  }
}
