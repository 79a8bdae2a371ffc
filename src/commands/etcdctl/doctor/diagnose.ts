/** All checks, in the order in which they are told: first what else depends on. */
import { backup } from './checks/backup.ts';
import { certificates } from './checks/certificates.ts';
import { clock } from './checks/clock.ts';
import { hashes } from './checks/hashes.ts';
import { disk, peerLatency } from './checks/latency.ts';
import { clientUrls, learners, members, quorum } from './checks/membership.ts';
import { leader, proposals, raftLag } from './checks/raft.ts';
import { alarms, auth, health, watchers } from './checks/serving.ts';
import { fragmentation, quota } from './checks/space.ts';
import { versions } from './checks/versions.ts';
import type { Facts } from './facts.ts';
import { type Finding, type Result, results, skipped, type Verdict, worst } from './finding.ts';
import type { Thresholds } from './thresholds.ts';

type Check = (facts: Facts, thresholds: Thresholds) => Verdict;

/** By the names that scripts rely on. */
const checks: Readonly<Record<string, Check>> = {
  members,
  quorum,
  learners,
  leader,
  'raft-lag': raftLag,
  health,
  alarms,
  quota,
  fragmentation,
  disk,
  'peer-latency': peerLatency,
  clock,
  versions,
  hashes,
  watchers,
  proposals,
  backup,
  certificates,
  auth,
  'client-urls': clientUrls,
};

export const checkNames: readonly string[] = Object.keys(checks);

export interface Diagnosis {
  /** The gravest of all. */
  readonly result: Result;
  readonly findings: readonly Finding[];
  readonly counts: Readonly<Record<Result, number>>;
}

/** @param left names of checks that are not wanted */
export function diagnose(facts: Facts, thresholds: Thresholds, left: ReadonlySet<string> = new Set()): Diagnosis {
  const findings = Object.entries(checks).map(([name, check]): Finding => {
    const verdict = left.has(name) ? skipped('by --skip') : check(facts, thresholds);
    // Names and reasons come from servers: whatever is in them, it is one line.
    const seen = verdict.seen.replaceAll(/\p{Cc}+/gu, ' ');
    return { name, figures: [], next: [], ...verdict, seen };
  });
  const counts = Object.fromEntries(
    results.map((result) => [result, findings.filter((finding) => finding.result === result).length]),
  ) as Record<Result, number>;
  // What could not be known is no fault.
  const result = worst(findings.map((finding) => finding.result).filter((each) => each !== 'SKIP'));
  return { result, findings, counts };
}
