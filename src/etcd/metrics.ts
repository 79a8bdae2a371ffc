/**
 * What Prometheus reads at `/metrics`, under upstream's names: those that its dashboards and alerts ask for and that a cluster of one can
 * answer. Counters count since the start; the rest is read off the member when asked.
 */
import { openDescriptors, residentBytes, startTimeSeconds } from '#host/process-memory.ts';
import type { Member } from './member.ts';
import { clusterVersion, serverVersion } from './version.ts';

/** Upstream's buckets for what takes a disk's time: 1 ms doubling, 14 times. */
const secondsBuckets = Array.from({ length: 14 }, (_, i) => 0.001 * 2 ** i);

/** Upstream's buckets for what takes a whole database's time: 100 ms doubling, 10 times. */
const longSecondsBuckets = Array.from({ length: 10 }, (_, i) => 0.1 * 2 ** i);

export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  /** @param bounds ascending */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(seconds: number): void {
    const bucket = this.#bounds.findIndex((bound) => seconds <= bound);
    if (bucket >= 0) this.#counts[bucket]!++;
    this.#sum += seconds;
    this.#count++;
  }

  lines(name: string): string {
    let below = 0;
    const buckets = this.#bounds.map((bound, i) => {
      below += this.#counts[i]!;
      return `${name}_bucket{le="${bound}"} ${below}\n`;
    });
    return `${buckets.join('')}${name}_bucket{le="+Inf"} ${this.#count}\n${name}_sum ${this.#sum}\n${name}_count ${this.#count}\n`;
  }
}

/** What is counted on the way. */
export class Counters {
  puts = 0;
  deletes = 0;
  ranges = 0;
  txns = 0;
  proposalsFailed = 0;
  leasesGranted = 0;
  leasesRevoked = 0;
  leasesRenewed = 0;
  /** Times that somebody began to lead, as far as was seen here. */
  leaderChanges = 0;
  /** Of the log's syncs. */
  readonly walSync = new Histogram(secondsBuckets);
  /** Of checkpoints, whole. */
  readonly checkpointSave = new Histogram(longSecondsBuckets);
}

/** Prometheus' own names for a process. */
function processMetrics(): Metric[] {
  const descriptors = openDescriptors();
  return [
    ['process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes.', residentBytes()],
    [
      'process_start_time_seconds',
      'gauge',
      'Start time of the process since unix epoch in seconds.',
      startTimeSeconds(),
    ],
    ...(descriptors === undefined
      ? []
      : [['process_open_fds', 'gauge', 'Number of open file descriptors.', descriptors] satisfies Metric]),
  ];
}

type Metric = readonly [name: string, type: 'counter' | 'gauge', help: string, value: number, labels?: string];

export function renderMetrics(member: Member): string {
  const { counters, store, identity, hub, admission } = member;
  const metrics: readonly Metric[] = [
    ['etcd_cluster_version', 'gauge', 'Which version is running.', 1, label('cluster_version', shortVersion(member))],
    ['etcd_debugging_lease_granted_total', 'counter', 'The total number of granted leases.', counters.leasesGranted],
    [
      'etcd_debugging_lease_renewed_total',
      'counter',
      'The number of renewed leases seen by the leader.',
      counters.leasesRenewed,
    ],
    ['etcd_debugging_lease_revoked_total', 'counter', 'The total number of revoked leases.', counters.leasesRevoked],
    [
      'etcd_debugging_mvcc_compact_revision',
      'gauge',
      'The revision of the last compaction in store.',
      store.compactRevision,
    ],
    ['etcd_debugging_mvcc_current_revision', 'gauge', 'The current revision of store.', store.revision],
    ['etcd_debugging_mvcc_keys_total', 'gauge', 'Total number of keys.', store.keyCount],
    ['etcd_debugging_mvcc_slow_watcher_total', 'gauge', 'Total number of unsynced slow watchers.', hub.laggingCount],
    ['etcd_debugging_mvcc_watcher_total', 'gauge', 'Total number of watchers.', hub.watcherCount + hub.laggingCount],
    [
      'etcd_mvcc_db_total_size_in_bytes',
      'gauge',
      'Total size of the underlying database physically allocated in bytes.',
      member.storeBytes,
    ],
    [
      'etcd_mvcc_db_total_size_in_use_in_bytes',
      'gauge',
      'Total size of the underlying database logically in use in bytes.',
      member.storeBytes,
    ],
    ['etcd_mvcc_delete_total', 'counter', 'Total number of deletes seen by this member.', counters.deletes],
    ['etcd_mvcc_put_total', 'counter', 'Total number of puts seen by this member.', counters.puts],
    ['etcd_mvcc_range_total', 'counter', 'Total number of ranges seen by this member.', counters.ranges],
    ['etcd_mvcc_txn_total', 'counter', 'Total number of txns seen by this member.', counters.txns],
    [
      'etcd_server_admission_admitted_bytes',
      'gauge',
      'The estimated memory of client requests that are running.',
      admission.budget.admittedBytes,
    ],
    [
      'etcd_server_admission_budget_bytes',
      'gauge',
      'The memory that client requests and their answers may take.',
      admission.budget.bytes,
    ],
    [
      'etcd_server_admission_refused_total',
      'counter',
      'The total number of client requests refused for want of memory.',
      admission.refusedCount,
    ],
    [
      'etcd_server_admission_untaken_bytes',
      'gauge',
      'Bytes of answers that clients have not taken yet.',
      admission.budget.untakenBytes,
    ],
    [
      'etcd_server_admission_waiting',
      'gauge',
      'The current number of client requests that wait for memory.',
      admission.budget.waitingCount,
    ],
    [
      'etcd_server_has_leader',
      'gauge',
      'Whether or not a leader exists. 1 is existence, 0 is not.',
      member.leader === 0n ? 0 : 1,
    ],
    [
      'etcd_server_id',
      'gauge',
      "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.",
      1,
      label('server_id', identity.memberId.toString(16)),
    ],
    [
      'etcd_server_is_leader',
      'gauge',
      'Whether or not this member is a leader. 1 if is, 0 otherwise.',
      member.isLeader ? 1 : 0,
    ],
    [
      'etcd_server_is_learner',
      'gauge',
      'Whether or not this member is a learner. 1 if is, 0 otherwise.',
      member.isLearner ? 1 : 0,
    ],
    ['etcd_server_leader_changes_seen_total', 'counter', 'The number of leader changes seen.', counters.leaderChanges],
    [
      'etcd_server_proposals_applied_total',
      'gauge',
      'The total number of consensus proposals applied.',
      member.appliedIndex,
    ],
    [
      'etcd_server_proposals_committed_total',
      'gauge',
      'The total number of consensus proposals committed.',
      member.committedIndex,
    ],
    [
      'etcd_server_proposals_failed_total',
      'counter',
      'The total number of failed proposals seen.',
      counters.proposalsFailed,
    ],
    [
      'etcd_server_proposals_pending',
      'gauge',
      'The current number of pending proposals to commit.',
      member.proposalsWaiting,
    ],
    ['etcd_server_quota_backend_bytes', 'gauge', 'Current backend storage quota size in bytes.', member.quotaBytes],
    [
      'etcd_server_version',
      'gauge',
      "Which version is running. 1 for 'server_version' label with current version.",
      1,
      label('server_version', serverVersion),
    ],
  ];
  return [
    ...[...metrics, ...processMetrics()].map(
      ([name, type, help, value, labels = '']) => `${head(name, type, help)}${name}${labels} ${value}\n`,
    ),
    head('etcd_disk_wal_fsync_duration_seconds', 'histogram', 'The latency distributions of fsync called by WAL.'),
    counters.walSync.lines('etcd_disk_wal_fsync_duration_seconds'),
    head(
      'etcd_disk_backend_commit_duration_seconds',
      'histogram',
      'The latency distributions of commit called by backend.',
    ),
    // No write waits for the database file: it is written by checkpoints, in the background, and none of those is a commit.
    new Histogram(secondsBuckets).lines('etcd_disk_backend_commit_duration_seconds'),
    head(
      'etcd_snap_db_save_total_duration_seconds',
      'histogram',
      'The total latency distributions of v3 snapshot save',
    ),
    counters.checkpointSave.lines('etcd_snap_db_save_total_duration_seconds'),
    member.peerMetrics(),
  ].join('');
}

function head(name: string, type: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function label(name: string, value: string): string {
  return `{${name}="${value}"}`;
}

/** Without the patch. */
function shortVersion({ machine }: Member): string {
  return (machine.clusterVersion || clusterVersion).split('.').slice(0, 2).join('.');
}
