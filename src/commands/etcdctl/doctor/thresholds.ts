/** From where on a figure is worth a word, and the flags that say otherwise. The bars are upstream's advice and alerts where it has some. */
import { durationMs, type FlagTable, type Parsed, parseFlags } from '../../flags.ts';
import { wrong } from '../exit.ts';

export interface Thresholds {
  /** Milliseconds. */
  readonly maxBackupAgeMs: number;
  /** Of the quota, 0 to 1. */
  readonly quotaWarnRatio: number;
  readonly quotaFailRatio: number;
  /** Of the file, 0 to 1. */
  readonly maxFragmentationRatio: number;
  /** Seconds, the 99th percentile. */
  readonly maxFsyncSeconds: number;
  readonly maxCommitSeconds: number;
  readonly maxRoundTripSeconds: number;
  readonly maxClockSkewMs: number;
  /** Entries. */
  readonly maxRaftLag: number;
  readonly maxPendingProposals: number;
  readonly maxSlowWatchers: number;
  readonly maxPendingEvents: number;
  readonly maxLeaderChangesPerHour: number;
  readonly minCertificateMs: number;
}

/** From here on a disk holds up the cluster: upstream's alerts call it critical. */
export const fsyncFailSeconds = 1;
/** A member this far behind takes no writes. */
export const raftLagFail = 5000;

export const thresholdFlags: FlagTable = {
  'max-backup-age': { kind: 'string', usage: 'a newest backup older than this fails', default: '25h' },
  'quota-warn': { kind: 'string', usage: 'percent of the quota in use that warn', default: '80' },
  'quota-fail': { kind: 'string', usage: 'percent of the quota in use that fail', default: '95' },
  'max-fragmentation': { kind: 'string', usage: 'percent of a database file that may lie idle', default: '50' },
  'max-fsync': { kind: 'string', usage: 'p99 of the sync of the write-ahead log', default: '10ms' },
  'max-commit': { kind: 'string', usage: 'p99 of the commit of the database', default: '25ms' },
  'max-round-trip': { kind: 'string', usage: 'p99 of the way from member to member and back', default: '100ms' },
  'max-clock-skew': { kind: 'string', usage: 'how far clocks may be apart', default: '1s' },
  'max-raft-lag': { kind: 'string', usage: 'entries that a member may be behind', default: '1000' },
  'max-pending-proposals': { kind: 'string', usage: 'writes that may wait for their turn', default: '100' },
  'max-slow-watchers': { kind: 'string', usage: 'watchers that may be behind', default: '0' },
  'max-pending-events': { kind: 'string', usage: 'events that may wait for their watchers', default: '10000' },
  'max-leader-changes': { kind: 'string', usage: 'changes of the leader in an hour', default: '1' },
  'min-cert-validity': { kind: 'string', usage: 'a certificate that ends sooner warns', default: '720h' },
};

/** @throws EtcdctlError, CommandError naming the flag */
export function thresholdsOf(flags: Parsed): Thresholds {
  const ms = (name: string) => durationMs(flags.string(name)!, name);
  const number = (name: string, most: number) => {
    const text = flags.string(name)!;
    if (!/^\d+(\.\d+)?$/.test(text) || Number(text) > most)
      throw wrong(`invalid argument ${JSON.stringify(text)} for "--${name}" flag: a number up to ${most} is wanted`);
    return Number(text);
  };
  const ratio = (name: string) => number(name, 100) / 100;
  const count = (name: string) => number(name, Number.MAX_SAFE_INTEGER);
  return {
    maxBackupAgeMs: ms('max-backup-age'),
    quotaWarnRatio: ratio('quota-warn'),
    quotaFailRatio: ratio('quota-fail'),
    maxFragmentationRatio: ratio('max-fragmentation'),
    maxFsyncSeconds: ms('max-fsync') / 1000,
    maxCommitSeconds: ms('max-commit') / 1000,
    maxRoundTripSeconds: ms('max-round-trip') / 1000,
    maxClockSkewMs: ms('max-clock-skew'),
    maxRaftLag: count('max-raft-lag'),
    maxPendingProposals: count('max-pending-proposals'),
    maxSlowWatchers: count('max-slow-watchers'),
    maxPendingEvents: count('max-pending-events'),
    maxLeaderChangesPerHour: count('max-leader-changes'),
    minCertificateMs: ms('min-cert-validity'),
  };
}

/** Those of whoever says nothing. */
export const defaultThresholds: Thresholds = thresholdsOf(parseFlags([], thresholdFlags));
