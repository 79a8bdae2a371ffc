/**
 * What a run of probe results means: thresholds and the state before the first result. Pure; `prober.ts` does the asking.
 * Liveness starts as success, readiness as failure, startup as unknown (upstream's prober).
 */
import type { Probe } from './pod.ts';

export type ProbeKind = 'startup' | 'readiness' | 'liveness';
export type Outcome = 'success' | 'failure' | 'unknown';

export interface ProbeState {
  /** What counts now. */
  readonly verdict: Outcome;
  /** The newest result, and how often in a row it came. */
  readonly last: Outcome;
  readonly run: number;
}

export function initialState(kind: ProbeKind): ProbeState {
  const verdict = kind === 'liveness' ? 'success' : kind === 'readiness' ? 'failure' : 'unknown';
  return { verdict, last: 'unknown', run: 0 };
}

/** The state after one more result. A probe that could not be carried out (`unknown`) changes nothing. */
export function nextState(state: ProbeState, outcome: Outcome, probe: Probe): ProbeState {
  if (outcome === 'unknown') return state;
  const run = outcome === state.last ? state.run + 1 : 1;
  const threshold = outcome === 'success' ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
  return { verdict: run >= threshold ? outcome : state.verdict, last: outcome, run };
}
