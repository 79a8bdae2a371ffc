/** Whether the members serve: what they say of their own health, alarms, watchers that are behind, and who may ask. */
import type { Facts } from '../facts.ts';
import { type Complaint, type Figure, skipped, type Verdict, verdictOf } from '../finding.ts';
import { answerOf, anyEndpoint, etcdctl, hexId, labelOf, subjectsOf } from '../subjects.ts';
import type { Thresholds } from '../thresholds.ts';
import { counted, quoted } from '../words.ts';

export function health(facts: Facts): Verdict {
  const complaints: Complaint[] = [];
  let asked = 0;
  const without: string[] = [];
  // A learner never says that it is well: it does not serve reads that need a quorum.
  for (const { label, endpoint } of subjectsOf(facts).filter(({ status }) => !status.isLearner)) {
    const { health: page, ready, url } = endpoint;
    if (page.kind !== 'answered') without.push(`${label}: ${page.why}`);
    else {
      asked++;
      if (page.value !== '')
        complaints.push({
          result: 'FAIL',
          text: `${label}: /health: ${page.value}`,
          next: [etcdctl(facts, 'endpoint health', { endpoint: url })],
        });
    }
    if (ready.kind === 'answered' && ready.value.length > 0)
      complaints.push({
        result: 'FAIL',
        text: `${label}: /readyz: ${ready.value.join(', ')}`,
        next: [etcdctl(facts, 'endpoint health', { endpoint: url })],
      });
  }
  if (asked === 0) return skipped(`nobody answers /health${without.length === 0 ? '' : `: ${without.join('; ')}`}`);
  const note = without.length === 0 ? '' : `; no answer on HTTP from ${without.join('; ')}`;
  return verdictOf(
    complaints,
    `${counted(asked, 'member')} well by ${asked === 1 ? 'its' : 'their'} own account${note}`,
  );
}

export function alarms(facts: Facts): Verdict {
  const known = alarmsKnown(facts);
  if (known === undefined) return skipped('no member answers');
  const complaints = known.map(
    ({ memberId, alarm }): Complaint => ({
      result: 'FAIL',
      text: `${alarm} at ${labelOf(facts, memberId)}${meaning[alarm] ?? ''}`,
      next:
        alarm === 'NOSPACE'
          ? makeRoom(facts)
          : alarm === 'CORRUPT'
            ? replaceMember(facts, memberId)
            : [etcdctl(facts, 'alarm list')],
    }),
  );
  return verdictOf(complaints, 'none', [{ name: 'alarms', value: known.length }]);
}

const meaning: Readonly<Record<string, string>> = {
  NOSPACE: ' (its quota is used up: nothing is written)',
  CORRUPT: ' (it holds other data than most: nothing is written)',
};

/** A member's status tells of alarms, too, and needs no quorum for it. */
function alarmsKnown(facts: Facts): readonly { readonly memberId: bigint; readonly alarm: string }[] | undefined {
  const list = answerOf(facts.alarms);
  if (list !== undefined) return list;
  const subjects = subjectsOf(facts);
  if (subjects.length === 0) return undefined;
  const found = subjects.flatMap(({ status }) =>
    status.errors.flatMap((text) => {
      const match = /memberID:(\d+) alarm:(\w+)/.exec(text);
      return match === null
        ? []
        : [[`${match[1]} ${match[2]}`, { memberId: BigInt(match[1]!), alarm: match[2]! }] as const];
    }),
  );
  return [...new Map(found).values()];
}

/** The way back from a full quota. */
export function makeRoom(facts: Facts) {
  const revision = Math.max(0, ...subjectsOf(facts).map(({ status }) => status.revision));
  return [
    etcdctl(facts, `compaction ${revision}`, { when: 'its history is not needed' }),
    etcdctl(facts, 'defrag --cluster'),
    etcdctl(facts, 'alarm disarm', { when: 'there is room again' }),
  ];
}

/** The way back from data of its own. */
export function replaceMember(facts: Facts, id: bigint) {
  const others = subjectsOf(facts).find((subject) => subject.id !== id);
  const endpoint = others?.endpoint.url ?? anyEndpoint(facts);
  return [
    etcdctl(facts, `member remove ${hexId(id)}`, { endpoint }),
    etcdctl(facts, `member add ${quoted(labelOf(facts, id))} --learner --peer-urls URL`, {
      endpoint,
      when: 'its folder is empty',
    }),
    etcdctl(facts, 'alarm disarm', { endpoint }),
  ];
}

export function watchers(facts: Facts, { maxSlowWatchers, maxPendingEvents }: Thresholds): Verdict {
  const complaints: Complaint[] = [];
  const figures: Figure[] = [];
  for (const { label, endpoint } of subjectsOf(facts)) {
    const [metrics, later] = [answerOf(endpoint.metrics), answerOf(endpoint.metricsLater)];
    // Behind at both looks: whoever catches up in between is fine.
    const lower = (name: string) => {
      const first = metrics?.value(name);
      return first === undefined ? undefined : Math.min(first, later?.value(name) ?? first);
    };
    const slow = lower('etcd_debugging_mvcc_slow_watcher_total');
    const pending = lower('etcd_debugging_mvcc_pending_events_total');
    const all = metrics?.value('etcd_debugging_mvcc_watcher_total');
    const say = (text: string) =>
      complaints.push({
        result: 'WARN',
        text: `${label}: ${text}`,
        next: [etcdctl(facts, 'endpoint status -w table', { endpoint: endpoint.url })],
      });
    if (all !== undefined) figures.push({ name: 'watchers', value: all, of: label });
    if (slow !== undefined) {
      figures.push({ name: 'slow_watchers', value: slow, of: label });
      if (slow > maxSlowWatchers)
        say(`${slow} of ${counted(all ?? slow, 'watcher')} behind: their clients do not read, or start far back`);
    }
    if (pending !== undefined) {
      figures.push({ name: 'pending_events', value: pending, of: label });
      if (pending > maxPendingEvents) say(`${counted(pending, 'event')} wait for their watchers`);
    }
  }
  if (!figures.some(({ name }) => name === 'slow_watchers')) return skipped('no member tells of it in /metrics');
  const sum = (name: string) => figures.reduce((total, figure) => total + (figure.name === name ? figure.value : 0), 0);
  return verdictOf(complaints, `${counted(sum('watchers'), 'watcher')}, ${sum('slow_watchers')} behind`, figures);
}

/** A piece of information, not a judgement. */
export function auth({ auth: asked }: Facts): Verdict {
  if (asked.kind === 'denied') return { result: 'OK', seen: 'on' };
  if (asked.kind !== 'answered') return skipped(asked.why);
  const { enabled, revision } = asked.value;
  if (!enabled) return { result: 'OK', seen: 'off: whoever reaches a client address may do everything' };
  return { result: 'OK', seen: `on, revision ${revision}`, figures: [{ name: 'auth_revision', value: revision }] };
}
