/** How long the disk takes, and the way to the other members: from the histograms that members keep. */
import type { Facts } from '../facts.ts';
import { type Complaint, type Figure, type Next, skipped, type Verdict, verdictOf } from '../finding.ts';
import { type Histogram, quantile, since } from '../metrics-text.ts';
import { answerOf, labelOf, type Subject, subjectsOf } from '../subjects.ts';
import { fsyncFailSeconds, type Thresholds } from '../thresholds.ts';
import { counted, humanMs } from '../words.ts';

/** With fewer the 99th percentile is the slowest one. */
const samplesMin = 100;
/** With fewer even the mean is an accident: the first sync of a new file takes long on any disk. */
const judgedMin = 10;

interface Measured {
  readonly label: string;
  /** Seconds: the 99th percentile where there is enough of it, else the mean. */
  readonly seconds: number;
  readonly count: number;
  readonly words: string;
  readonly figures: readonly Figure[];
}

/** @param name of the figures: `wal_fsync` */
function measure(facts: Facts, label: string, name: string, now: Histogram, before: Histogram | undefined): Measured {
  const recent = before === undefined ? undefined : since(now, before);
  const isRecent = recent !== undefined && recent.count >= samplesMin;
  const histogram = isRecent ? recent : now;
  const mean = histogram.sum / histogram.count;
  const { value: p99, atLeast } = quantile(histogram, 0.99);
  const enough = histogram.count >= samplesMin;
  const times = `mean ${humanMs(mean * 1000)} (${histogram.count} ${isRecent ? `in the last ${humanMs(facts.betweenMs)}` : 'since the start'})`;
  return {
    label,
    seconds: enough ? p99 : mean,
    count: histogram.count,
    words: enough ? `p99 ${atLeast ? 'over ' : ''}${humanMs(p99 * 1000)}, ${times}` : times,
    figures: [
      ...(enough ? [{ name: `${name}_p99_seconds`, value: p99, of: label }] : []),
      { name: `${name}_mean_seconds`, value: mean, of: label },
      { name: `${name}_count`, value: histogram.count, of: label },
    ],
  };
}

export function disk(facts: Facts, { maxFsyncSeconds, maxCommitSeconds }: Thresholds): Verdict {
  const kinds = [
    { metric: 'etcd_disk_wal_fsync_duration_seconds', name: 'wal_fsync', what: 'sync', max: maxFsyncSeconds },
    {
      metric: 'etcd_disk_backend_commit_duration_seconds',
      name: 'backend_commit',
      what: 'commit',
      max: maxCommitSeconds,
    },
  ] as const;
  const seen: string[] = [];
  const figures: Figure[] = [];
  const complaints: Complaint[] = [];
  for (const subject of subjectsOf(facts)) {
    const parts: string[] = [];
    for (const { metric, name, what, max } of kinds) {
      const [now, before] = histogramsOf(subject, metric);
      if (now === undefined) continue;
      const measured = measure(facts, subject.label, name, now, before);
      figures.push(...measured.figures);
      parts.push(`${what} ${measured.words}`);
      if (measured.seconds > max && measured.count >= judgedMin)
        complaints.push({
          result: name === 'wal_fsync' && measured.seconds >= fsyncFailSeconds ? 'FAIL' : 'WARN',
          text: `${subject.label}: ${what} ${measured.words}: over ${humanMs(max * 1000)}`,
          next: [onTheDisk],
        });
    }
    if (parts.length > 0) seen.push(`${subject.label}: ${parts.join('; ')}`);
  }
  if (seen.length === 0) return skipped('no member tells of it in /metrics, or nothing was written yet');
  return verdictOf(complaints, seen.join('; '), figures);
}

/** Who else is at the disk, is what is to be found out. */
const onTheDisk: Next = { command: 'iostat -x 1 5', when: 'on its machine' };

export function peerLatency(facts: Facts, { maxRoundTripSeconds }: Thresholds): Verdict {
  const metric = 'etcd_network_peer_round_trip_time_seconds';
  const measured: Measured[] = [];
  for (const subject of subjectsOf(facts)) {
    const metrics = answerOf(subject.endpoint.metricsLater) ?? answerOf(subject.endpoint.metrics);
    for (const to of metrics?.labelValues(metric, 'To') ?? []) {
      const id = /^[0-9a-f]+$/.test(to) ? BigInt(`0x${to}`) : undefined;
      // Counters of a peer stay when it is removed.
      if (id === undefined || !isMember(facts, id)) continue;
      const [now, before] = histogramsOf(subject, metric, ['To', to]);
      if (now === undefined) continue;
      const label = `${subject.label} to ${labelOf(facts, id)}`;
      measured.push(measure(facts, label, 'round_trip', now, before));
    }
  }
  if (measured.length === 0)
    return skipped('no member tells of a round trip in /metrics (the first comes half a minute after the start)');
  const complaints = measured
    .filter(({ seconds }) => seconds > maxRoundTripSeconds)
    .map(
      ({ label, words }): Complaint => ({
        result: 'WARN',
        text: `${label}: ${words}: over ${humanMs(maxRoundTripSeconds * 1000)}`,
        next: [
          {
            command: 'etcd --heartbeat-interval MS --election-timeout MS',
            when: 'the way is as long as that, for every member alike',
          },
        ],
      }),
    );
  const slowest = measured.reduce((most, each) => (each.seconds > most.seconds ? each : most));
  return verdictOf(
    complaints,
    `${counted(measured.length, 'way')}, the slowest ${slowest.label}: ${slowest.words}`,
    measured.flatMap(({ figures }) => figures),
  );
}

/** Where the members are not known, everybody is one. */
function isMember({ members }: Facts, id: bigint): boolean {
  return members.kind !== 'answered' || members.value.some((member) => member.id === id);
}

/** The newest there is, and what it was before. */
function histogramsOf({ endpoint }: Subject, name: string, label?: readonly [string, string]) {
  const [first, later] = [answerOf(endpoint.metrics), answerOf(endpoint.metricsLater)];
  const before = first?.histogram(name, label);
  const now = later?.histogram(name, label);
  return now === undefined ? ([before, undefined] as const) : ([now, before] as const);
}
