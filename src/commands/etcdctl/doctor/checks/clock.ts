/**
 * How far the clocks of the members, and the one here, are apart. Each is known between two bounds that are certain; two clocks are apart by at least
 * what lies between their bounds, so that a coarse source never makes a complaint by itself.
 */
import type { Facts } from '../facts.ts';
import { type Complaint, type Figure, skipped, type Verdict, verdictOf } from '../finding.ts';
import { etcdctl, labelOf } from '../subjects.ts';
import type { Thresholds } from '../thresholds.ts';
import { humanMs } from '../words.ts';

interface Bounds {
  readonly label: string;
  readonly min: number;
  readonly max: number;
}

const here: Bounds = { label: 'this machine', min: 0, max: 0 };

export function clock(facts: Facts, { maxClockSkewMs }: Thresholds): Verdict {
  const clocks = facts.clocks.map(({ memberId, aheadMinMs, aheadMaxMs }) => ({
    label: labelOf(facts, memberId),
    min: aheadMinMs,
    max: aheadMaxMs,
  }));
  if (clocks.length === 0) return skipped('no member tells its time, neither on its peer port nor by HTTP');
  const all: readonly Bounds[] = [here, ...clocks];
  const pairs = all.flatMap((a, i) => all.slice(i + 1).map((b) => ({ a, b, apart: apartMs(a, b) })));
  const complaints = pairs
    .filter(({ apart }) => apart > maxClockSkewMs)
    .map(
      ({ a, b, apart }): Complaint => ({
        result: 'WARN',
        text: `${a.label} and ${b.label} are at least ${humanMs(apart)} apart`,
        next: [
          { command: 'timedatectl timesync-status', when: 'on both machines' },
          etcdctl(facts, 'doctor', { when: 'the clocks are set' }),
        ],
      }),
    );
  const seen = clocks.map(
    ({ label, min, max }) => `${label} ${signed((min + max) / 2)} +/-${humanMs((max - min) / 2)}`,
  );
  const coarse = facts.clocks.some(({ source }) => source === 'date');
  const figures: Figure[] = clocks.flatMap(({ label, min, max }) => [
    { name: 'clock_ahead_seconds', value: (min + max) / 2000, of: label },
    { name: 'clock_accuracy_seconds', value: (max - min) / 2000, of: label },
  ]);
  return verdictOf(
    complaints,
    `ahead of this machine: ${seen.join(', ')}${coarse ? ' (by the Date header, to the second)' : ''}`,
    figures,
  );
}

function apartMs(a: Bounds, b: Bounds): number {
  return Math.max(0, a.min - b.max, b.min - a.max);
}

function signed(ms: number): string {
  return ms > 0 ? `+${humanMs(ms)}` : humanMs(ms);
}
