/** Whether the members agree on who leads, and keep up. */
import type { Facts } from '../facts.ts';
import { type Complaint, type Figure, skipped, type Verdict, verdictOf } from '../finding.ts';
import { answerOf, etcdctl, hexId, isVoter, labelOf, membersOf, subjectsOf } from '../subjects.ts';
import { raftLagFail, type Thresholds } from '../thresholds.ts';
import { counted, humanMs } from '../words.ts';

/** A start or two, and one loss, are no pattern. */
const changesMin = 4;
const hourSeconds = 3600;

export function leader(facts: Facts, { maxLeaderChangesPerHour }: Thresholds): Verdict {
  const subjects = subjectsOf(facts);
  if (subjects.length === 0) return skipped('no member answers');
  const look = etcdctl(facts, 'endpoint status --cluster -w table');
  const complaints: Complaint[] = [];
  const without = subjects.filter(({ status }) => status.leader === 0n);
  if (without.length > 0)
    complaints.push({
      result: 'FAIL',
      text: `${without.map(({ label }) => label).join(', ')}: no leader`,
      next: [look],
    });
  const said = subjects.filter(({ status }) => status.leader !== 0n);
  const leaders = new Set(said.map(({ status }) => `${status.leader} ${status.term}`));
  const tell = ({ label, status }: (typeof said)[number]) =>
    `${label} says ${labelOf(facts, status.leader)} in term ${status.term}`;
  if (leaders.size > 1)
    complaints.push({ result: 'FAIL', text: `no agreement on the leader: ${said.map(tell).join(', ')}`, next: [look] });
  const first = said[0]?.status;
  if (
    first !== undefined &&
    facts.members.kind === 'answered' &&
    !membersOf(facts).some(({ id }) => id === first.leader)
  )
    complaints.push({ result: 'FAIL', text: `the leader ${hexId(first.leader)} is no member`, next: [look] });
  const figures: Figure[] = [{ name: 'term', value: Math.max(...subjects.map(({ status }) => status.term)) }];
  const changes = changesSeen(facts);
  for (const { label, total, during, perHour } of changes) {
    figures.push({ name: 'leader_changes_total', value: total, of: label });
    if (during > 0)
      complaints.push({
        result: 'WARN',
        text: `${counted(during, 'change')} of the leader in the last ${humanMs(facts.betweenMs)}, as ${label} saw`,
        next: [look],
      });
    else if (perHour !== undefined && total >= changesMin && perHour > maxLeaderChangesPerHour)
      complaints.push({
        result: 'WARN',
        text: `${perHour.toFixed(1)} changes of the leader in an hour, as ${label} saw`,
        next: [look],
      });
  }
  const most = changes
    .map(({ label, total, upMs }) => `${label} ${total}${upMs === undefined ? '' : ` in ${humanMs(upMs)}`}`)
    .join(', ');
  const seen = first === undefined ? '' : `${labelOf(facts, first.leader)} in term ${first.term}, all agree`;
  return verdictOf(complaints, most === '' ? seen : `${seen}; changes seen: ${most}`, figures);
}

function changesSeen(facts: Facts) {
  const name = 'etcd_server_leader_changes_seen_total';
  return subjectsOf(facts).flatMap(({ label, endpoint }) => {
    const [metrics, later] = [answerOf(endpoint.metrics), answerOf(endpoint.metricsLater)];
    const before = metrics?.value(name);
    if (metrics === undefined || before === undefined) return [];
    const total = later?.value(name) ?? before;
    const started = metrics.value('process_start_time_seconds');
    const upMs = started === undefined ? undefined : Math.max(0, facts.nowMs - started * 1000);
    // The one at the start is none. A counter that went back belongs to a process that has just started.
    const perHour = upMs === undefined ? undefined : (total - 1) / Math.max(upMs / 1000 / hourSeconds, 1);
    return [{ label, total, during: Math.max(0, total - before), perHour, upMs }];
  });
}

/** Of the entries that anybody had at the first look, how many a member had not applied at the second. */
export function raftLag(facts: Facts, { maxRaftLag }: Thresholds): Verdict {
  const subjects = subjectsOf(facts);
  if (subjects.length === 0) return skipped('no member answers');
  const reached = Math.max(...subjects.map(({ before }) => before.index));
  // How far a learner is behind is a matter of its own.
  const lags = subjects
    .filter(({ status }) => isVoter(status))
    .map(({ label, endpoint, status }) => ({
      label,
      url: endpoint.url,
      received: Math.max(0, reached - status.index),
      applied: Math.max(0, reached - status.appliedIndex),
    }));
  const complaints = lags
    .filter(({ applied }) => applied > maxRaftLag || applied >= raftLagFail)
    .map(
      ({ label, url, received, applied }): Complaint => ({
        result: applied >= raftLagFail ? 'FAIL' : 'WARN',
        text: `${label} is ${applied} entries behind (${received} not received, ${applied - received} not applied)${applied >= raftLagFail ? ', and takes no writes' : ''}`,
        next: [etcdctl(facts, 'endpoint status -w table', { endpoint: url })],
      }),
    );
  return verdictOf(
    complaints,
    `index ${reached}; behind: ${lags.map(({ label, applied }) => `${label} ${applied}`).join(', ')}`,
    lags.map(({ label, applied }) => ({ name: 'entries_behind', value: applied, of: label })),
  );
}

export function proposals(facts: Facts, { maxPendingProposals }: Thresholds): Verdict {
  const complaints: Complaint[] = [];
  const figures: Figure[] = [];
  for (const { label, endpoint } of subjectsOf(facts)) {
    const [metrics, later] = [answerOf(endpoint.metrics), answerOf(endpoint.metricsLater)];
    const both = (name: string) => [metrics?.value(name), later?.value(name) ?? metrics?.value(name)] as const;
    const [pendingBefore, pendingLater] = both('etcd_server_proposals_pending');
    const [failedBefore, failedLater] = both('etcd_server_proposals_failed_total');
    const look = [etcdctl(facts, 'check perf', { when: 'the cluster may be written to', endpoint: endpoint.url })];
    if (pendingBefore !== undefined && pendingLater !== undefined) {
      // What waits at both looks does not just pass by.
      const pending = Math.min(pendingBefore, pendingLater);
      figures.push({ name: 'proposals_pending', value: pending, of: label });
      if (pending > maxPendingProposals)
        complaints.push({ result: 'WARN', text: `${label}: ${counted(pending, 'proposal')} wait`, next: look });
    }
    // Ours alone tells of it.
    const [refusedBefore, refusedLater] = both('etcd_server_admission_refused_total');
    if (refusedBefore !== undefined && refusedLater !== undefined && refusedLater > refusedBefore)
      complaints.push({
        result: 'WARN',
        text: `${label}: ${counted(refusedLater - refusedBefore, 'request')} refused for want of memory in the last ${humanMs(facts.betweenMs)}`,
        next: [etcdctl(facts, 'endpoint status -w table', { endpoint: endpoint.url })],
      });
    if (failedBefore !== undefined && failedLater !== undefined) {
      figures.push({ name: 'proposals_failed_total', value: failedLater, of: label });
      const failed = failedLater - failedBefore;
      if (failed > 0)
        complaints.push({
          result: 'WARN',
          text: `${label}: ${counted(failed, 'proposal')} failed in the last ${humanMs(facts.betweenMs)}`,
          next: [etcdctl(facts, 'endpoint health --cluster')],
        });
    }
  }
  if (figures.length === 0) return skipped('no member tells of it in /metrics');
  const of = (name: string) =>
    figures.filter((figure) => figure.name === name).map(({ of: label, value }) => `${label} ${value}`);
  return verdictOf(
    complaints,
    `waiting: ${of('proposals_pending').join(', ')}; failed since the start: ${of('proposals_failed_total').join(', ')}`,
    figures,
  );
}
