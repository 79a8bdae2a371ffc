/** Whether all members hold the same: their hashes at one revision. */
import type { Facts } from '../facts.ts';
import { type Complaint, skipped, type Verdict, verdictOf } from '../finding.ts';
import { etcdctl, labelOf } from '../subjects.ts';
import { counted } from '../words.ts';
import { replaceMember } from './serving.ts';

export function hashes(facts: Facts): Verdict {
  if (facts.hashes === undefined) return skipped('no member answers');
  const { revision, answers } = facts.hashes;
  if (answers.length < 2) return skipped('one member alone: there is nothing to compare');
  const known = answers.flatMap(({ memberId, answer }) =>
    answer.kind === 'answered' ? [{ label: labelOf(facts, memberId), memberId, ...answer.value }] : [],
  );
  const without = answers.flatMap(({ memberId, answer }) =>
    answer.kind === 'answered' ? [] : [`${labelOf(facts, memberId)}: ${answer.why}`],
  );
  if (known.length < 2) return skipped(`fewer than two members tell their hash: ${without.join('; ')}`);
  const compacted = new Set(known.map(({ compactRevision }) => compactRevision));
  if (compacted.size > 1)
    return skipped(
      `compacted at different revisions, which makes hashes differ: ${known.map(({ label, compactRevision }) => `${label} at ${compactRevision}`).join(', ')}`,
    );
  const figures = known.map(({ label, hash }) => ({ name: 'hash', value: hash, of: label }));
  const complaints = complain(facts, known, revision);
  const note = without.length === 0 ? '' : `; not told by ${without.join('; ')}`;
  return verdictOf(
    complaints,
    `${counted(known.length, 'member')} hold the same at revision ${revision}${note}`,
    figures,
  );
}

function complain(
  facts: Facts,
  known: readonly { readonly label: string; readonly memberId: bigint; readonly hash: number }[],
  revision: number,
): Complaint[] {
  const groups = [...Map.groupBy(known, ({ hash }) => hash).values()].sort((a, b) => b.length - a.length);
  const [most = [], ...others] = groups;
  if (others.length === 0) return [];
  if (most.length * 2 <= known.length)
    return [
      {
        result: 'FAIL',
        text: `members hold different data at revision ${revision}, and no version of it has a majority: ${known.map(({ label, hash }) => `${label} ${hash}`).join(', ')}`,
        next: [etcdctl(facts, 'snapshot save FILE', { when: 'of each member, before anything is changed' })],
      },
    ];
  return others.flat().map(({ label, memberId, hash }) => ({
    result: 'FAIL',
    text: `${label} holds other data than ${most.length} of ${known.length} at revision ${revision} (hash ${hash}, not ${most[0]!.hash})`,
    next: replaceMember(facts, memberId).slice(0, 2),
  }));
}
