/** Which versions the members are of, what the cluster has agreed on, and whether it is on its way back. */
import type { Facts } from '../facts.ts';
import { type Complaint, skipped, type Verdict, verdictOf } from '../finding.ts';
import { answerOf, etcdctl, subjectsOf } from '../subjects.ts';

interface Minor {
  readonly major: number;
  readonly minor: number;
}

export function versions(facts: Facts): Verdict {
  const subjects = subjectsOf(facts);
  if (subjects.length === 0) return skipped('no member answers');
  const complaints: Complaint[] = [];
  const look = etcdctl(facts, 'endpoint status --cluster -w table');
  const each = subjects.map(({ label, status: { version } }) => ({ label, version, minor: minorOf(version) }));
  const known = each.flatMap(({ minor }) => minor ?? []).sort(compare);
  const [lowest, highest] = [known[0], known.at(-1)];
  const list = each.map(({ label, version }) => `${label} ${version}`).join(', ');
  if (lowest !== undefined && highest !== undefined && compare(lowest, highest) !== 0) {
    const tooFar = highest.major !== lowest.major || highest.minor - lowest.minor > 1;
    complaints.push({
      result: tooFar ? 'FAIL' : 'WARN',
      text: tooFar
        ? `more than one minor version apart: ${list}`
        : `mixed versions, as in the middle of an upgrade: ${list}`,
      next: [look],
    });
  }
  const agreed = [...new Set(subjects.flatMap(({ endpoint }) => answerOf(endpoint.clusterVersion) ?? []))];
  const cluster = agreed.length === 1 ? minorOf(agreed[0]!) : undefined;
  if (agreed.length > 1)
    complaints.push({
      result: 'WARN',
      text: `members tell of different versions of the cluster: ${agreed.join(', ')}`,
      next: [look],
    });
  const going = downgradeOf(facts);
  if (going !== undefined)
    complaints.push({
      result: 'WARN',
      text: `a downgrade${going === '' ? '' : ` to ${going}`} goes on`,
      next: [etcdctl(facts, 'downgrade cancel', { when: 'it is not wanted any more' })],
    });
  else if (cluster !== undefined && lowest !== undefined && compare(cluster, lowest) !== 0)
    complaints.push({
      result: 'WARN',
      text: `the cluster is at ${agreed[0]}, its members are ${list}`,
      next: [{ ...look, when: 'a few seconds have passed' }],
    });
  const shared = new Set(each.map(({ version }) => version)).size === 1 ? `all ${each[0]!.version}` : list;
  return verdictOf(complaints, `${shared}${agreed.length === 1 ? `; cluster ${agreed[0]}` : ''}`);
}

/** Empty when the target is not known. */
function downgradeOf(facts: Facts): string | undefined {
  const told = subjectsOf(facts).find(({ status }) => status.downgradeTo !== undefined);
  if (told !== undefined) return told.status.downgradeTo;
  return facts.downgrading.length > 0 ? '' : undefined;
}

function minorOf(version: string): Minor | undefined {
  const match = /^(\d+)\.(\d+)/.exec(version);
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

function compare(a: Minor, b: Minor): number {
  return a.major - b.major || a.minor - b.minor;
}
