/**
 * What `etcdctl doctor` has seen of a cluster, before anybody judges it: plain values, so that every judgement is a function of them. Times are in
 * milliseconds, sizes in bytes.
 */
import type { Metrics } from './metrics-text.ts';

/**
 * What became of a question. `denied`: whoever asks may not know. `refused`: the server answered with an error. `silent`: no answer, in time or at
 * all.
 */
export type Asked<T> =
  | { readonly kind: 'answered'; readonly value: T }
  | { readonly kind: 'denied' | 'refused' | 'silent'; readonly why: string };

/** As `MemberList` has it. */
export interface MemberFacts {
  readonly id: bigint;
  /** Empty for one that was added and has never started. */
  readonly name: string;
  readonly isLearner: boolean;
  readonly clientUrls: readonly string[];
  readonly peerUrls: readonly string[];
}

/** Of `Maintenance.Status`. */
export interface StatusFacts {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: number;
  readonly version: string;
  readonly dbBytes: number;
  /** 0 where the server does not say. */
  readonly dbInUseBytes: number;
  /** Of 3.6; 0 where the server does not say. */
  readonly quotaBytes: number;
  /** 0 for none. */
  readonly leader: bigint;
  readonly term: number;
  /** What is committed, as this member knows. */
  readonly index: number;
  readonly appliedIndex: number;
  readonly isLearner: boolean;
  /** Alarms among them, as `memberID:1 alarm:NOSPACE `. */
  readonly errors: readonly string[];
  /** Of 3.6: the version that the cluster goes back to. */
  readonly downgradeTo: string | undefined;
}

/** What one address of a client port answered. */
export interface EndpointFacts {
  readonly url: string;
  /** By whoever called the doctor. */
  readonly given: boolean;
  /** At the beginning. */
  readonly status: Asked<StatusFacts>;
  /** At the end, {@link Facts.betweenMs} later. */
  readonly statusLater: Asked<StatusFacts>;
  /** A read that most members had to agree to: how long it took. */
  readonly read: Asked<number>;
  /** The members that this one knows, without asking the others. */
  readonly memberIds: Asked<readonly bigint[]>;
  /** `/health`: what is wrong; empty when nothing is. */
  readonly health: Asked<string>;
  /** `/readyz`: the checks that failed. */
  readonly ready: Asked<readonly string[]>;
  /** `/version`: the version that the cluster agreed on. */
  readonly clusterVersion: Asked<string>;
  readonly metrics: Asked<Metrics>;
  readonly metricsLater: Asked<Metrics>;
  /** The server's certificate, where there is one. */
  readonly certificate: Asked<CertificateFacts> | undefined;
}

/** A clock beside the one here: how far it is ahead, between two bounds that are certain. */
export interface ClockFacts {
  readonly memberId: bigint;
  /** `probing`: what members tell each other, to the nanosecond. `date`: a header of HTTP, to the second. */
  readonly source: 'probing' | 'date';
  readonly aheadMinMs: number;
  readonly aheadMaxMs: number;
}

export interface CertificateFacts {
  readonly subject: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Certificates in a file that was named by a flag. */
export interface CertificateFileFacts extends CertificateFacts {
  readonly flag: 'cert' | 'cacert';
  readonly path: string;
}

/** `HashKV` of a member. */
export interface HashFacts {
  readonly memberId: bigint;
  readonly answer: Asked<{ readonly hash: number; readonly compactRevision: number }>;
}

/** What lies in the folder of backups. */
export interface BackupFacts {
  readonly folder: string;
  /** Of `backup run`. */
  readonly archive:
    | {
        /** Up to then it has everything. */
        readonly seenMs: number;
        readonly revision: number;
        /** Undefined where only bases are there. */
        readonly clusterId: bigint | undefined;
        readonly restorable: boolean;
      }
    | undefined;
  /** The newest file of `snapshot save`. */
  readonly snapshot: { readonly path: string; readonly timeMs: number; readonly revision: number } | undefined;
  /** What is damaged or cannot be read. */
  readonly problems: readonly string[];
}

export interface Facts {
  /** Milliseconds since 1970, by the clock here. */
  readonly nowMs: number;
  /** Between the first and the second look at statuses and metrics. */
  readonly betweenMs: number;
  /** Of the cluster, by whichever endpoint answers. */
  readonly members: Asked<readonly MemberFacts[]>;
  /** Every address that was given or is advertised, once. */
  readonly endpoints: readonly EndpointFacts[];
  readonly alarms: Asked<readonly { readonly memberId: bigint; readonly alarm: string }[]>;
  readonly auth: Asked<{ readonly enabled: boolean; readonly revision: number }>;
  readonly clocks: readonly ClockFacts[];
  /** Peer ports that said whether a downgrade goes on: of 3.5, whose Status does not. */
  readonly downgrading: readonly bigint[];
  /** At one revision; undefined when it was not asked for. */
  readonly hashes: { readonly revision: number; readonly answers: readonly HashFacts[] } | undefined;
  readonly certificateFiles: readonly CertificateFileFacts[];
  /** Undefined when no folder was named. */
  readonly backup: BackupFacts | undefined;
  /** How a command that goes on from here begins: `wherry etcdctl` with the flags of TLS. */
  readonly command: string;
  /** As it is typed behind `--user`, never with a password: whoever types it is asked for that. */
  readonly user: string | undefined;
}
