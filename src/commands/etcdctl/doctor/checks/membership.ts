/** Who belongs to the cluster, who of them answers, and how many more it could do without. */
import type { EndpointFacts, Facts, MemberFacts } from '../facts.ts';
import { type Complaint, skipped, type Verdict, verdictOf } from '../finding.ts';
import {
  answerOf,
  anyEndpoint,
  etcdctl,
  hasQuorum,
  hexId,
  isVoter,
  labelOf,
  membersOf,
  subjectsOf,
} from '../subjects.ts';
import { counted } from '../words.ts';

/** Upstream lets a learner vote when it has as much of what the leader has. */
const readyRatio = 0.9;

export function members(facts: Facts): Verdict {
  const list = membersOf(facts);
  const subjects = subjectsOf(facts);
  const complaints: Complaint[] = [];
  const fail = (text: string, ...next: NonNullable<Complaint['next']>) =>
    complaints.push({ result: 'FAIL', text, next });
  if (subjects.length === 0) {
    const reasons = facts.endpoints.map(({ url, status }) => `${url}: ${whyOf(status)}`).join('; ');
    const denied = facts.endpoints.find(({ status }) => status.kind === 'denied');
    if (denied === undefined)
      fail(`no member answers (${reasons})`, etcdctl(facts, 'endpoint health', { when: 'on the machine of a member' }));
    else {
      const next = etcdctl({ ...facts, user: 'root' }, 'doctor', { endpoint: denied.url });
      fail(`members answer nobody without a user's name, or not this one (${reasons})`, next);
    }
  } else if (facts.members.kind !== 'answered')
    complaints.push({
      result: 'WARN',
      text: `the members are not known: ${facts.members.why}`,
      next: [etcdctl(facts, 'member list')],
    });
  for (const member of list) {
    if (subjects.length === 0 || subjects.some(({ id }) => id === member.id)) continue;
    // Without a quorum nobody is removed.
    const remove = hasQuorum(facts)
      ? [etcdctl(facts, `member remove ${hexId(member.id)}`, { when: 'it will not come back' })]
      : [];
    if (member.name === '') {
      const text = `${hexId(member.id)} was added and has never started`;
      if (isVoter(member)) fail(text, ...remove);
      else complaints.push({ result: 'WARN', text, next: remove });
      continue;
    }
    const asked = facts.endpoints.filter(({ url }) => member.clientUrls.includes(url));
    const why = asked.map(({ url, status }) => ` at ${url}: ${whyOf(status)}`).join(',');
    const from = member.clientUrls[0] ?? '127.0.0.1:2379';
    fail(
      `${member.name} does not answer${why}`,
      etcdctl(facts, 'endpoint health', { endpoint: from, when: 'on its machine' }),
      ...remove,
    );
  }
  const clusters = new Set(subjects.map(({ status }) => status.clusterId));
  if (clusters.size > 1)
    fail(
      `the endpoints are of different clusters: ${subjects.map(({ label, endpoint, status }) => `${label} at ${endpoint.url} of ${hexId(status.clusterId)}`).join(', ')}`,
      etcdctl(facts, 'member list'),
    );
  else complaints.push(...tellOthers(facts));
  const total = Math.max(list.length, subjects.length);
  return verdictOf(
    complaints,
    `${subjects.length} of ${counted(total, 'member')} ${total === 1 ? 'answers' : 'answer'}`,
    [
      { name: 'members', value: total },
      { name: 'members_answering', value: subjects.length },
    ],
  );
}

/** A member that was removed, or missed a change, may still tell of others than most do. */
function tellOthers(facts: Facts): Complaint[] {
  const expected = membersOf(facts).map(({ id }) => id);
  return subjectsOf(facts).flatMap(({ label, endpoint }) => {
    const known = answerOf(endpoint.memberIds);
    if (known === undefined || facts.members.kind !== 'answered') return [];
    const same = known.length === expected.length && known.every((id) => expected.includes(id));
    if (same) return [];
    const text = `${label} knows other members: ${known.map((id) => labelOf(facts, id)).join(', ')}`;
    return [
      {
        result: 'WARN' as const,
        text,
        next: [etcdctl(facts, 'member list --consistency s', { endpoint: endpoint.url })],
      },
    ];
  });
}

export function quorum(facts: Facts): Verdict {
  const subjects = subjectsOf(facts);
  const all = membersOf(facts);
  const voters = all.length > 0 ? all.filter(isVoter) : subjects.filter(({ status }) => isVoter(status));
  if (voters.length === 0) return skipped('no member answers: who may vote is not known');
  const needed = Math.floor(voters.length / 2) + 1;
  const here = voters.filter(({ id }) => subjects.some((subject) => subject.id === id)).length;
  const spare = here - needed;
  const figures = [
    { name: 'voters', value: voters.length },
    { name: 'voters_needed', value: needed },
    { name: 'voters_answering', value: here },
    { name: 'voters_to_spare', value: spare },
  ];
  const count = `${here} of ${counted(voters.length, 'voter')} ${voters.length === 1 ? 'answers' : 'answer'}, ${needed} needed`;
  const complaints: Complaint[] = [];
  if (!hasQuorum(facts) && facts.endpoints.every(({ read }) => read.kind !== 'denied')) {
    const why = subjects.map(({ endpoint }) => whyOf(endpoint.read)).find((text) => text !== '');
    complaints.push({
      result: 'FAIL',
      text: `${count}: nothing is written, and read only from one member alone${why === undefined ? '' : ` (${why})`}`,
      next: [
        etcdctl(facts, 'endpoint status --cluster -w table'),
        { command: 'wherry etcdutl recover DIR', when: 'more than half will not come back' },
      ],
    });
  } else if (spare < 0)
    complaints.push({
      result: 'WARN',
      text: `${count}: the cluster serves, but most of it cannot be reached from here`,
      next: [etcdctl(facts, 'member list -w table')],
    });
  else if (spare === 0 && voters.length > 2)
    complaints.push({
      result: 'WARN',
      text: `${count}: none may be lost now`,
      next: [etcdctl(facts, 'endpoint health --cluster')],
    });
  if (voters.length > 1 && voters.length % 2 === 0)
    complaints.push({
      result: 'WARN',
      text: `an even number of voters (${voters.length}) survives no more losses than ${voters.length - 1}`,
      next: [etcdctl(facts, 'member add NAME --learner --peer-urls URL')],
    });
  return verdictOf(complaints, `${count}: ${spare} may be lost`, figures);
}

export function learners(facts: Facts): Verdict {
  const subjects = subjectsOf(facts);
  const known = membersOf(facts).filter((member) => !isVoter(member));
  if (facts.members.kind !== 'answered') return skipped(`the members are not known: ${facts.members.why}`);
  if (known.length === 0) return { result: 'OK', seen: 'no learner' };
  const reached = Math.max(0, ...subjects.map(({ before }) => before.index));
  const figures = [];
  const complaints: Complaint[] = [];
  for (const { id } of known) {
    const label = labelOf(facts, id);
    const its = subjects.find((subject) => subject.id === id);
    const promote = etcdctl(facts, `member promote ${hexId(id)}`);
    if (its === undefined) {
      complaints.push({
        result: 'WARN',
        text: `${label} has no vote, and does not answer`,
        next: [etcdctl(facts, 'member list -w table')],
      });
      continue;
    }
    const behind = Math.max(0, reached - its.status.appliedIndex);
    figures.push({ name: 'entries_behind', value: behind, of: label });
    const ready = its.status.appliedIndex >= readyRatio * reached;
    complaints.push({
      result: 'WARN',
      text: `${label} has no vote: ${behind === 0 ? 'it has caught up' : `${counted(behind, 'entry', 'entries')} behind`}`,
      next: [ready ? promote : { ...promote, when: 'it has caught up' }],
    });
  }
  return verdictOf(complaints, '', figures);
}

/** What clients are told to connect to. */
export function clientUrls(facts: Facts): Verdict {
  if (facts.members.kind !== 'answered') return skipped(`the members are not known: ${facts.members.why}`);
  const list = membersOf(facts);
  const answering = subjectsOf(facts);
  const complaints: Complaint[] = [];
  const at = (url: string) => facts.endpoints.find((endpoint) => endpoint.url === url);
  const urls = list.flatMap((member) => member.clientUrls.map((url) => ({ member, url })));
  for (const { member, url } of urls) {
    const others = urls.filter((each) => each.url === url && each.member !== member);
    const isFirst = others.length > 0 && urls.find((each) => each.url === url)!.member === member;
    if (isFirst) {
      const names = [member, ...others.map((each) => each.member)].map(({ id }) => labelOf(facts, id));
      complaints.push({
        result: 'FAIL',
        text: `${names.join(' and ')} advertise the same ${url}`,
        next: [etcdctl(facts, 'member list -w table')],
      });
    }
    if (others.length > 0) continue;
    const complaint = wrongUrl(facts, member, url, at(url));
    const answersElsewhere = answering.some(({ id }) => id === member.id);
    if (complaint !== undefined && (complaint.result === 'FAIL' || answersElsewhere)) complaints.push(complaint);
  }
  for (const { url, given, status } of facts.endpoints)
    if (
      given &&
      (status.kind === 'silent' || status.kind === 'refused') &&
      !urls.some((each) => each.url === url) &&
      answering.length > 0
    )
      complaints.push({
        result: 'WARN',
        text: `${url} was given, and does not answer: ${status.why}`,
        next: [etcdctl(facts, 'member list -w table')],
      });
  return verdictOf(complaints, `${counted(urls.length, 'address', 'addresses')} advertised`, [
    { name: 'client_urls', value: urls.length },
  ]);
}

function wrongUrl(
  facts: Facts,
  member: MemberFacts,
  url: string,
  endpoint: EndpointFacts | undefined,
): Complaint | undefined {
  const label = labelOf(facts, member.id);
  const status = endpoint?.status;
  if (status?.kind === 'answered' && status.value.memberId !== member.id)
    return {
      result: 'FAIL',
      text: `${label} advertises ${url}, where ${labelOf(facts, status.value.memberId)} answers`,
      next: [etcdctl(facts, 'endpoint status --cluster -w table', { endpoint: anyEndpoint(facts) })],
    };
  if (/\/\/(0\.0\.0\.0|\[::\]):/.test(url))
    return {
      result: 'WARN',
      text: `${label} advertises ${url}, which is no address to connect to`,
      next: [etcdctl(facts, 'member list -w table')],
    };
  if (status === undefined || status.kind === 'answered' || status.kind === 'denied') return undefined;
  return {
    result: 'WARN',
    text: `${label} advertises ${url}, which cannot be reached from here: ${status.why}`,
    next: [etcdctl(facts, 'endpoint health', { endpoint: url })],
  };
}

function whyOf(asked: EndpointFacts['status'] | EndpointFacts['read']): string {
  return asked.kind === 'answered' ? '' : asked.why;
}
