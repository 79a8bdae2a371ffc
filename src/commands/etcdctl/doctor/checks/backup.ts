/** How old the newest backup is: the archive of a continuous one, or a snapshot. */
import type { BackupFacts, Facts } from '../facts.ts';
import { type Complaint, type Figure, skipped, type Verdict, verdictOf } from '../finding.ts';
import { etcdctl, hexId, subjectsOf } from '../subjects.ts';
import type { Thresholds } from '../thresholds.ts';
import { humanMs, quoted } from '../words.ts';

export function backup(facts: Facts, { maxBackupAgeMs }: Thresholds): Verdict {
  const { backup: its } = facts;
  if (its === undefined) return skipped('no --backup-dir');
  const { folder, archive, snapshot, problems } = its;
  const again = [
    etcdctl(facts, `backup run ${quoted(folder)}`),
    etcdctl(facts, `snapshot save ${quoted(folder)}/FILE`, { when: 'one moment is enough' }),
  ];
  const complaints: Complaint[] = problems.map((text) => ({
    result: 'WARN',
    text,
    next: [{ command: `wherry etcdutl backup verify ${quoted(folder)}` }],
  }));
  const newest = newestOf(its);
  if (newest === undefined) {
    complaints.push({ result: 'FAIL', text: `${folder} holds no backup that can be restored`, next: again });
    return verdictOf(complaints, '');
  }
  const ageMs = facts.nowMs - newest.timeMs;
  const what = `${newest.what}, of ${humanMs(Math.max(0, ageMs))} ago, revision ${newest.revision}`;
  if (ageMs > maxBackupAgeMs)
    complaints.push({ result: 'FAIL', text: `${what}: older than ${humanMs(maxBackupAgeMs)}`, next: again });
  const status = subjectsOf(facts)[0]?.status;
  if (status !== undefined && archive?.clusterId !== undefined && archive.clusterId !== status.clusterId)
    complaints.push({
      result: 'FAIL',
      text: `${folder} is the archive of another cluster, ${hexId(archive.clusterId)}; this is ${hexId(status.clusterId)}`,
      next: [etcdctl(facts, 'backup run NEW-FOLDER')],
    });
  const behind = status === undefined ? undefined : Math.max(0, status.revision - newest.revision);
  const figures: Figure[] = [
    { name: 'backup_age_seconds', value: ageMs / 1000 },
    { name: 'backup_revision', value: newest.revision },
    ...(behind === undefined ? [] : [{ name: 'backup_revisions_behind', value: behind }]),
    ...(snapshot === undefined
      ? []
      : [{ name: 'snapshot_age_seconds', value: (facts.nowMs - snapshot.timeMs) / 1000 }]),
  ];
  return verdictOf(complaints, `${what}${behind === undefined ? '' : `, ${behind} behind`}`, figures);
}

function newestOf({ folder, archive, snapshot }: BackupFacts) {
  const candidates = [
    ...(archive?.restorable ? [{ what: `archive ${folder}`, timeMs: archive.seenMs, revision: archive.revision }] : []),
    ...(snapshot === undefined
      ? []
      : [{ what: `snapshot ${snapshot.path}`, timeMs: snapshot.timeMs, revision: snapshot.revision }]),
  ];
  return candidates.sort((a, b) => b.timeMs - a.timeMs)[0];
}
