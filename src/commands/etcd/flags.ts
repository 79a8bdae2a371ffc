/**
 * Every flag of etcd 3.6 (and the older names it still takes), and ours, which begin with `wherry-`, with its kind, its default, and what becomes of it here: it acts, it tunes
 * machinery that only upstream has and is taken for nothing, or only its default is taken, because what it asks for is not here.
 * https://etcd.io/docs/v3.6/op-guide/configuration/
 */

export type FlagKind = 'string' | 'urls' | 'list' | 'bool' | 'uint' | 'int' | 'duration';

export interface FlagSpec {
  readonly kind: FlagKind;
  readonly default: string;
  /** Undefined: it acts. */
  readonly instead?:
    | { readonly kind: 'older name'; readonly of: string }
    /** Of a feature: `--feature-gates NAME=true`. */
    | { readonly kind: 'gate'; readonly of: string }
    | { readonly kind: 'no effect' | 'default only'; readonly why: string };
}

const acts = (kind: FlagKind, standard = ''): FlagSpec => ({ kind, default: standard });
const older = (kind: FlagKind, of: string): FlagSpec => ({ kind, default: '', instead: { kind: 'older name', of } });
const gate = (standard: string, of: string): FlagSpec => ({
  kind: 'bool',
  default: standard,
  instead: { kind: 'gate', of },
});
const noEffect = (kind: FlagKind, standard: string, why: string): FlagSpec => ({
  kind,
  default: standard,
  instead: { kind: 'no effect', why },
});
const defaultOnly = (kind: FlagKind, standard: string, why: string): FlagSpec => ({
  kind,
  default: standard,
  instead: { kind: 'default only', why },
});

export const backend = 'the state is in memory and saved whole: there is no backend to tune';
const logSaves = 'the log is cut by what a restart would cost, not by entries';
const noDiscovery = 'members are named by --initial-cluster';
const noTracing = 'there is no tracing';
const warnings = 'slow requests are not reported one by one';

export const etcdFlags: Readonly<Record<string, FlagSpec>> = {
  // Member
  name: acts('string', 'default'),
  'data-dir': acts('string'),
  'wal-dir': defaultOnly('string', '', 'the log is in the data folder'),
  'snapshot-count': noEffect('uint', '10000', logSaves),
  'heartbeat-interval': acts('uint', '100'),
  'election-timeout': acts('uint', '1000'),
  'initial-election-tick-advance': noEffect('bool', 'true', 'a member that starts waits a whole election timeout'),
  'listen-peer-urls': acts('urls', 'http://localhost:2380'),
  'listen-client-urls': acts('urls', 'http://localhost:2379'),
  'listen-client-http-urls': acts('urls'),
  'max-snapshots': noEffect('uint', '5', 'two saved states are kept'),
  'max-wals': noEffect('uint', '5', 'the log is let go of when the state after it is saved'),
  'memory-mlock': noEffect('bool', 'false', backend),
  'quota-backend-bytes': acts('int', '0'),
  'backend-bbolt-freelist-type': noEffect('string', 'map', backend),
  'backend-batch-interval': noEffect('duration', '', backend),
  'backend-batch-limit': noEffect('int', '0', backend),
  'max-txn-ops': acts('uint', '128'),
  'max-request-bytes': acts('uint', '1572864'),
  'max-concurrent-streams': acts('uint', '4294967295'),
  'grpc-keepalive-min-time': noEffect('duration', '5s', 'pings are answered as they come, within a bound'),
  'grpc-keepalive-interval': noEffect('duration', '2h', 'clients ping, the server does not'),
  'grpc-keepalive-timeout': noEffect('duration', '20s', 'clients ping, the server does not'),
  'socket-reuse-port': defaultOnly('bool', 'false', 'a port has one server'),
  'socket-reuse-address': noEffect('bool', 'false', 'addresses in TIME_WAIT are taken always'),
  'raft-read-timeout': noEffect('duration', '5s', 'streams between members have deadlines of their own'),
  'raft-write-timeout': noEffect('duration', '5s', 'streams between members have deadlines of their own'),
  'enable-grpc-gateway': acts('bool', 'true'),
  'feature-gates': acts('string'),
  // Clustering
  'initial-advertise-peer-urls': acts('urls', 'http://localhost:2380'),
  'initial-cluster': acts('string'),
  'initial-cluster-state': acts('string', 'new'),
  'initial-cluster-token': acts('string', 'etcd-cluster'),
  'advertise-client-urls': acts('urls', 'http://localhost:2379'),
  discovery: defaultOnly('string', '', noDiscovery),
  'discovery-token': defaultOnly('string', '', noDiscovery),
  'discovery-endpoints': defaultOnly('list', '', noDiscovery),
  'discovery-dial-timeout': noEffect('duration', '2s', noDiscovery),
  'discovery-request-timeout': noEffect('duration', '5s', noDiscovery),
  'discovery-keepalive-time': noEffect('duration', '2s', noDiscovery),
  'discovery-keepalive-timeout': noEffect('duration', '6s', noDiscovery),
  'discovery-insecure-transport': noEffect('bool', 'true', noDiscovery),
  'discovery-insecure-skip-tls-verify': noEffect('bool', 'false', noDiscovery),
  'discovery-cert': noEffect('string', '', noDiscovery),
  'discovery-key': noEffect('string', '', noDiscovery),
  'discovery-cacert': noEffect('string', '', noDiscovery),
  'discovery-user': noEffect('string', '', noDiscovery),
  'discovery-password': noEffect('string', '', noDiscovery),
  'discovery-fallback': noEffect('string', 'exit', noDiscovery),
  'discovery-proxy': defaultOnly('string', '', noDiscovery),
  'discovery-srv': defaultOnly('string', '', noDiscovery),
  'discovery-srv-name': noEffect('string', '', noDiscovery),
  'strict-reconfig-check': acts('bool', 'true'),
  'pre-vote': acts('bool', 'true'),
  'auto-compaction-mode': acts('string', 'periodic'),
  'auto-compaction-retention': acts('string', '0'),
  'v2-deprecation': noEffect('string', 'write-only', 'there is no v2 store'),
  'enable-v2': defaultOnly('bool', 'false', 'there is no v2 store'),
  'max-learners': acts('int', '1'),
  // Security
  'cert-file': acts('string'),
  'key-file': acts('string'),
  'client-cert-auth': acts('bool', 'false'),
  'client-cert-file': noEffect('string', '', 'the server is no client of itself'),
  'client-key-file': noEffect('string', '', 'the server is no client of itself'),
  'client-crl-file': acts('string'),
  'client-cert-allowed-hostname': acts('list'),
  'trusted-ca-file': acts('string'),
  'auto-tls': acts('bool', 'false'),
  'peer-cert-file': acts('string'),
  'peer-key-file': acts('string'),
  'peer-client-cert-auth': acts('bool', 'false'),
  'peer-client-cert-file': acts('string'),
  'peer-client-key-file': acts('string'),
  'peer-trusted-ca-file': acts('string'),
  'peer-cert-allowed-cn': acts('list'),
  'peer-cert-allowed-hostname': acts('list'),
  'peer-auto-tls': acts('bool', 'false'),
  'peer-crl-file': acts('string'),
  'peer-skip-client-san-verification': noEffect('bool', 'false', "addresses are not compared with certificates' names"),
  'self-signed-cert-validity': acts('uint', '1'),
  'cipher-suites': acts('list'),
  'tls-min-version': acts('string', 'TLS1.2'),
  'tls-max-version': acts('string'),
  cors: acts('list', '*'),
  'host-whitelist': acts('list', '*'),
  // Auth
  'auth-token': acts('string', 'simple'),
  'bcrypt-cost': acts('uint', '10'),
  'auth-token-ttl': acts('uint', '300'),
  // Profiling, monitoring, logging
  'enable-pprof': defaultOnly('bool', 'false', "Go's profiles are of Go"),
  metrics: noEffect('string', 'basic', 'metrics are the same'),
  'listen-metrics-urls': acts('urls'),
  logger: acts('string', 'zap'),
  'log-outputs': acts('list', 'default'),
  'log-level': acts('string', 'info'),
  'log-format': acts('string', 'json'),
  'enable-log-rotation': defaultOnly('bool', 'false', 'whoever keeps the files turns them'),
  'log-rotation-config-json': noEffect(
    'string',
    '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}',
    'whoever keeps the files turns them',
  ),
  'warning-apply-duration': noEffect('duration', '100ms', warnings),
  'warning-unary-request-duration': noEffect('duration', '300ms', warnings),
  'enable-distributed-tracing': defaultOnly('bool', 'false', noTracing),
  'distributed-tracing-address': noEffect('string', 'localhost:4317', noTracing),
  'distributed-tracing-service-name': noEffect('string', 'etcd', noTracing),
  'distributed-tracing-instance-id': noEffect('string', '', noTracing),
  'distributed-tracing-sampling-rate': noEffect('int', '0', noTracing),
  // Behaviour
  // Left out, members compare every minute; upstream's do not at all.
  'corrupt-check-time': acts('duration', '0s'),
  'compact-hash-check-time': acts('duration', '1m0s'),
  // Left out, a compaction takes what disturbs nobody, and pauses for nobody.
  'compaction-batch-limit': acts('int', '1000'),
  'compaction-sleep-interval': acts('duration', '10ms'),
  'watch-progress-notify-interval': acts('duration', '10m0s'),
  'bootstrap-defrag-threshold-megabytes': noEffect('uint', '0', 'files never fragment'),
  'downgrade-check-time': noEffect('duration', '5s', 'a downgrade is looked at as the version is'),
  'snapshot-catchup-entries': acts('uint', '5000'),
  // Unsafe
  'force-new-cluster': acts('bool', 'false'),
  'unsafe-no-fsync': acts('bool', 'false'),
  // Names of 3.5
  'experimental-watch-progress-notify-interval': older('duration', 'watch-progress-notify-interval'),
  'experimental-max-learners': older('int', 'max-learners'),
  'experimental-corrupt-check-time': older('duration', 'corrupt-check-time'),
  'experimental-compact-hash-check-time': older('duration', 'compact-hash-check-time'),
  'experimental-compaction-batch-limit': older('int', 'compaction-batch-limit'),
  'experimental-compaction-sleep-interval': older('duration', 'compaction-sleep-interval'),
  'experimental-warning-apply-duration': older('duration', 'warning-apply-duration'),
  'experimental-warning-unary-request-duration': older('duration', 'warning-unary-request-duration'),
  'experimental-downgrade-check-time': older('duration', 'downgrade-check-time'),
  'experimental-snapshot-catchup-entries': older('uint', 'snapshot-catchup-entries'),
  'experimental-bootstrap-defrag-threshold-megabytes': older('uint', 'bootstrap-defrag-threshold-megabytes'),
  'experimental-memory-mlock': older('bool', 'memory-mlock'),
  'experimental-peer-skip-client-san-verification': older('bool', 'peer-skip-client-san-verification'),
  'experimental-enable-distributed-tracing': older('bool', 'enable-distributed-tracing'),
  'experimental-distributed-tracing-address': older('string', 'distributed-tracing-address'),
  'experimental-distributed-tracing-service-name': older('string', 'distributed-tracing-service-name'),
  'experimental-distributed-tracing-instance-id': older('string', 'distributed-tracing-instance-id'),
  'experimental-distributed-tracing-sampling-rate': older('int', 'distributed-tracing-sampling-rate'),
  'experimental-initial-corrupt-check': gate('false', 'InitialCorruptCheck'),
  'experimental-compact-hash-check-enabled': gate('false', 'CompactHashCheck'),
  'experimental-enable-lease-checkpoint': gate('false', 'LeaseCheckpoint'),
  'experimental-enable-lease-checkpoint-persist': gate('false', 'LeaseCheckpointPersist'),
  'experimental-txn-mode-write-with-shared-buffer': gate('true', 'TxnModeWriteWithSharedBuffer'),
  'experimental-stop-grpc-service-on-defrag': gate('false', 'StopGRPCServiceOnDefrag'),
  // Ours alone
  'wherry-promote-learners': acts('bool', 'false'),
  'wherry-request-memory-bytes': acts('uint', '0'),
  // Of the command itself
  'config-file': acts('string'),
  version: acts('bool', 'false'),
};
