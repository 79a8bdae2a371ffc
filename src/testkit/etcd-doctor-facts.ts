/** A cluster that is well, as `etcdctl doctor` sees it, and what may be wrong with it: for the tests of its checks. */
import type { Asked, EndpointFacts, Facts, StatusFacts } from '#commands/etcdctl/doctor/facts.ts';
import { Metrics } from '#commands/etcdctl/doctor/metrics-text.ts';

export const nowMs = Date.UTC(2026, 0, 31);
export const hourMs = 3_600_000;
export const answered = <T>(value: T): Asked<T> => ({ kind: 'answered', value });
const quiet: Asked<never> = { kind: 'silent', why: 'connection refused' };

/** Members m1, m2 and so on, with ids 0x1a1, 0x1a2; m1 leads. */
export function healthyFacts(count = 3): Facts {
  const members = Array.from({ length: count }, (_, i) => ({
    id: idOf(i),
    name: `m${i + 1}`,
    isLearner: false,
    clientUrls: [urlOf(i)],
    peerUrls: [`http://10.0.0.${i + 1}:2380`],
  }));
  return {
    nowMs,
    betweenMs: 1000,
    members: answered(members),
    endpoints: members.map((_, i) =>
      endpoint(
        i,
        members.map(({ id }) => id),
      ),
    ),
    alarms: answered([]),
    auth: answered({ enabled: false, revision: 1 }),
    clocks: members.map(({ id }) => ({ memberId: id, source: 'probing', aheadMinMs: -2, aheadMaxMs: 2 })),
    downgrading: [],
    hashes: {
      revision: 900,
      answers: members.map(({ id }) => ({ memberId: id, answer: answered({ hash: 77, compactRevision: 100 }) })),
    },
    certificateFiles: [],
    backup: undefined,
    command: 'wherry etcdctl',
    user: undefined,
  };
}

export function idOf(index: number): bigint {
  return BigInt(0x1a1 + index);
}

export function urlOf(index: number): string {
  return `http://10.0.0.${index + 1}:2379`;
}

function endpoint(index: number, memberIds: readonly bigint[]): EndpointFacts {
  const status: StatusFacts = {
    clusterId: 0xc1n,
    memberId: idOf(index),
    revision: 900,
    version: '3.5.16',
    dbBytes: 1_000_000_000,
    dbInUseBytes: 900_000_000,
    quotaBytes: 0,
    leader: idOf(0),
    term: 4,
    index: 10_000,
    appliedIndex: 10_000,
    isLearner: false,
    errors: [],
    downgradeTo: undefined,
  };
  const metrics = answered(metricsOf({}));
  return {
    url: urlOf(index),
    given: index === 0,
    status: answered(status),
    statusLater: answered(status),
    read: answered(1.5),
    memberIds: answered(memberIds),
    health: answered(''),
    ready: answered([]),
    clusterVersion: answered('3.5.0'),
    metrics,
    metricsLater: metrics,
    certificate: undefined,
  };
}

/** Of a member that has run for ten hours. */
export function metricsOf(change: Readonly<Record<string, number>>, more = ''): Metrics {
  const values: Readonly<Record<string, number>> = {
    process_start_time_seconds: (nowMs - 10 * hourMs) / 1000,
    etcd_server_leader_changes_seen_total: 2,
    etcd_server_proposals_pending: 0,
    etcd_server_proposals_failed_total: 3,
    etcd_server_quota_backend_bytes: 2 ** 31,
    etcd_debugging_mvcc_watcher_total: 12,
    etcd_debugging_mvcc_slow_watcher_total: 0,
    etcd_debugging_mvcc_pending_events_total: 0,
    ...change,
  };
  return Metrics.parse(
    `${Object.entries(values)
      .map((pair) => pair.join(' '))
      .join('\n')}\n${more}`,
  );
}

/** A histogram's lines. @param labels `To="1a2"` */
export function histogramText(
  name: string,
  counts: Readonly<Record<string, number>>,
  sum: number,
  labels = '',
): string {
  const all = Math.max(...Object.values(counts));
  const buckets = Object.entries({ ...counts, '+Inf': all }).map(
    ([bound, count]) => `${name}_bucket{${[labels, `le="${bound}"`].filter((each) => each !== '').join(',')}} ${count}`,
  );
  return [...buckets, `${name}_sum{${labels}} ${sum}`, `${name}_count{${labels}} ${all}`, ''].join('\n');
}

export function withEndpoint(facts: Facts, index: number, change: Partial<EndpointFacts>): Facts {
  return { ...facts, endpoints: facts.endpoints.map((each, i) => (i === index ? { ...each, ...change } : each)) };
}

/** At both looks. */
export function withStatus(facts: Facts, index: number, change: Partial<StatusFacts>): Facts {
  const { status } = facts.endpoints[index]!;
  if (status.kind !== 'answered') throw new Error('it does not answer');
  const changed = answered({ ...status.value, ...change });
  return withEndpoint(facts, index, { status: changed, statusLater: changed });
}

/** @param later what the second look sees; the same by default */
export function withMetrics(facts: Facts, index: number, metrics: Metrics, later = metrics): Facts {
  return withEndpoint(facts, index, { metrics: answered(metrics), metricsLater: answered(later) });
}

/** A member that does not answer anything. */
export function withSilent(facts: Facts, index: number): Facts {
  return withEndpoint(facts, index, {
    status: quiet,
    statusLater: quiet,
    read: quiet,
    memberIds: quiet,
    health: quiet,
    ready: quiet,
    clusterVersion: quiet,
    metrics: quiet,
    metricsLater: quiet,
  });
}
