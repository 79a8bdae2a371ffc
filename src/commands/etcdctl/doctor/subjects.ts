/** The members that checks speak of: each once, by its name, with the address where it answered. */
import type { Asked, EndpointFacts, Facts, MemberFacts, StatusFacts } from './facts.ts';
import type { Next } from './finding.ts';
import { quoted } from './words.ts';

export const hexId = (id: bigint) => id.toString(16);

/** A member that answered. */
export interface Subject {
  readonly id: bigint;
  /** The member's name, or its id. */
  readonly label: string;
  readonly endpoint: EndpointFacts;
  readonly before: StatusFacts;
  /** The first look again, where there was no second. */
  readonly status: StatusFacts;
}

export function answerOf<T>(asked: Asked<T>): T | undefined {
  return asked.kind === 'answered' ? asked.value : undefined;
}

export function membersOf({ members }: Facts): readonly MemberFacts[] {
  return answerOf(members) ?? [];
}

/** By their names. */
export function subjectsOf(facts: Facts): readonly Subject[] {
  const found = new Map<bigint, Subject>();
  for (const endpoint of facts.endpoints) {
    const before = answerOf(endpoint.status);
    if (before === undefined || found.has(before.memberId)) continue;
    const later = answerOf(endpoint.statusLater);
    // Behind an address that stands for several members, another one may have answered the second time.
    const status = later?.memberId === before.memberId ? later : before;
    found.set(before.memberId, {
      id: before.memberId,
      label: labelOf(facts, before.memberId),
      endpoint,
      before,
      status,
    });
  }
  return [...found.values()].sort((a, b) => (a.label < b.label ? -1 : 1));
}

export function labelOf(facts: Facts, id: bigint): string {
  return membersOf(facts).find((member) => member.id === id)?.name || hexId(id);
}

/** Whether most members have agreed to a read, asked through anybody. */
export function hasQuorum(facts: Pick<Facts, 'endpoints'>): boolean {
  return facts.endpoints.some(({ read }) => read.kind === 'answered');
}

/** A member whose votes count. */
export function isVoter({ isLearner }: { readonly isLearner: boolean }): boolean {
  return !isLearner;
}

/** The address that commands for the whole cluster go to: one that answers, if there is one. */
export function anyEndpoint(facts: Facts): string {
  return (subjectsOf(facts)[0]?.endpoint ?? facts.endpoints[0])?.url ?? '127.0.0.1:2379';
}

/** A command of etcdctl, as it can be typed. @param endpoint where; anywhere in the cluster by default */
export function etcdctl(
  facts: Facts,
  command: string,
  { endpoint, when }: { endpoint?: string; when?: string } = {},
): Next {
  const user = facts.user === undefined ? '' : ` --user ${facts.user}`;
  const text = `${facts.command}${user} --endpoints ${quoted(endpoint ?? anyEndpoint(facts))} ${command}`;
  return when === undefined ? { command: text } : { command: text, when };
}
