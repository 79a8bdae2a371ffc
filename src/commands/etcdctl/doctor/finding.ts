/** What a check found, and what the doctor makes of all of it. */

export const results = ['OK', 'SKIP', 'WARN', 'FAIL'] as const;

/** SKIP: it could not be known, and why is said. WARN: somebody should look. FAIL: something is broken, or will be at the next fault. */
export type Result = (typeof results)[number];

/** A number that a check looked at. */
export interface Figure {
  /** With its unit: `_bytes`, `_seconds`, `_ratio`, `_total`; what has none counts. */
  readonly name: string;
  readonly value: number;
  /** The member or address that it is of; undefined for one of the whole cluster. */
  readonly of?: string;
}

/** A command that goes on from a finding. */
export interface Next {
  readonly command: string;
  /** When it is the right one; undefined for always. */
  readonly when?: string;
}

/** What a check says: all but its name. */
export interface Verdict {
  readonly result: Result;
  /** In words, with units; one line. */
  readonly seen: string;
  readonly figures?: readonly Figure[];
  /** In the order to type them. Empty only when all is well, or nobody can know. */
  readonly next?: readonly Next[];
}

export interface Finding extends Required<Verdict> {
  /** Stable: scripts may rely on it. */
  readonly name: string;
}

/** The gravest of several; OK for none. */
export function worst(of: readonly Result[]): Result {
  return of.reduce<Result>((most, each) => (results.indexOf(each) > results.indexOf(most) ? each : most), 'OK');
}

/** Something that is not as it should be, of one member or one thing. */
export interface Complaint {
  readonly result: 'WARN' | 'FAIL';
  readonly text: string;
  readonly next?: readonly Next[];
}

/**
 * One verdict of several complaints: the gravest come first.
 * @param otherwise what is seen when there is none
 */
export function verdictOf(
  complaints: readonly Complaint[],
  otherwise: string,
  figures: readonly Figure[] = [],
): Verdict {
  if (complaints.length === 0) return { result: 'OK', seen: otherwise, figures };
  const sorted = complaints.toSorted((a, b) => results.indexOf(b.result) - results.indexOf(a.result));
  const next = new Map(sorted.flatMap(({ next: its = [] }) => its).map((each) => [each.command, each]));
  return {
    result: sorted[0]!.result,
    seen: sorted.map(({ text }) => text).join('; '),
    figures,
    next: [...next.values()],
  };
}

export function skipped(why: string): Verdict {
  return { result: 'SKIP', seen: why };
}
