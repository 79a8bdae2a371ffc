/** The database files: how much of the quota they take, and how much of them lies idle. */
import type { Facts } from '../facts.ts';
import { type Complaint, skipped, type Verdict, verdictOf } from '../finding.ts';
import { answerOf, etcdctl, type Subject, subjectsOf } from '../subjects.ts';
import type { Thresholds } from '../thresholds.ts';
import { humanBytes, percent } from '../words.ts';
import { makeRoom } from './serving.ts';

/** A file with less than that idle is not worth a word. */
const idleBytesMin = 100_000_000;

export function quota(facts: Facts, { quotaWarnRatio, quotaFailRatio }: Thresholds): Verdict {
  const known = subjectsOf(facts).flatMap((subject) => {
    const bytes = quotaOf(subject);
    return bytes === undefined ? [] : [{ label: subject.label, dbBytes: subject.status.dbBytes, quotaBytes: bytes }];
  });
  if (known.length === 0) return skipped('no member tells its quota, neither in its status nor in /metrics');
  const complaints: Complaint[] = [];
  const used = ({ dbBytes, quotaBytes }: (typeof known)[number]) => dbBytes / quotaBytes;
  const say = (each: (typeof known)[number]) =>
    each.quotaBytes <= 0
      ? `${each.label} ${humanBytes(each.dbBytes)}, no quota`
      : `${each.label} ${humanBytes(each.dbBytes)} of ${humanBytes(each.quotaBytes)} (${percent(used(each))})`;
  for (const each of known) {
    if (each.quotaBytes <= 0 || used(each) < quotaWarnRatio) continue;
    complaints.push({
      result: used(each) >= quotaFailRatio ? 'FAIL' : 'WARN',
      text: say(each),
      next: makeRoom(facts).slice(0, 2),
    });
  }
  if (new Set(known.map(({ quotaBytes }) => quotaBytes)).size > 1)
    complaints.push({
      result: 'WARN',
      text: `quotas differ: ${known.map(({ label, quotaBytes }) => `${label} ${humanBytes(quotaBytes)}`).join(', ')}; the smallest counts`,
      next: [{ command: 'etcd --quota-backend-bytes BYTES', when: 'the member is started the next time' }],
    });
  return verdictOf(
    complaints,
    known.map(say).join(', '),
    known.flatMap(({ label, dbBytes, quotaBytes }) => [
      { name: 'db_size_bytes', value: dbBytes, of: label },
      { name: 'quota_bytes', value: quotaBytes, of: label },
    ]),
  );
}

function quotaOf({ endpoint, status }: Subject): number | undefined {
  const { quotaBytes } = status;
  return quotaBytes !== 0 ? quotaBytes : answerOf(endpoint.metrics)?.value('etcd_server_quota_backend_bytes');
}

export function fragmentation(facts: Facts, { maxFragmentationRatio }: Thresholds): Verdict {
  const known = subjectsOf(facts).flatMap(({ label, endpoint, status: { dbBytes, dbInUseBytes } }) =>
    dbInUseBytes === 0 || dbBytes === 0
      ? []
      : [{ label, url: endpoint.url, idleBytes: Math.max(0, dbBytes - dbInUseBytes), dbBytes }],
  );
  if (known.length === 0) return skipped('no member tells how much of its file is in use');
  const say = ({ label, idleBytes, dbBytes }: (typeof known)[number]) =>
    `${label} ${percent(idleBytes / dbBytes)} of ${humanBytes(dbBytes)} idle`;
  const complaints = known
    .filter(({ idleBytes, dbBytes }) => idleBytes / dbBytes > maxFragmentationRatio && idleBytes >= idleBytesMin)
    .map(
      (each): Complaint => ({
        result: 'WARN',
        text: say(each),
        next: [etcdctl(facts, 'defrag', { endpoint: each.url, when: 'the member may pause' })],
      }),
    );
  return verdictOf(
    complaints,
    known.map(say).join(', '),
    known.flatMap(({ label, idleBytes, dbBytes }) => [
      { name: 'db_idle_bytes', value: idleBytes, of: label },
      { name: 'db_idle_ratio', value: idleBytes / dbBytes, of: label },
    ]),
  );
}
