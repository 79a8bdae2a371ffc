/**
 * The clocks of members. Their peer ports tell each other the time at `/raft/probing`, to the nanosecond; where one lets us in, that is as good as
 * the way there is short. Otherwise there is the Date header of any page, in whole seconds.
 */
import type { Session } from '../session.ts';
import { ask } from './ask.ts';
import type { Look } from './collect-endpoint.ts';
import type { ClockFacts, MemberFacts } from './facts.ts';
import { type Ahead, aheadByDate, aheadByProbing, isDowngrading, narrowed } from './pages.ts';

export interface PeerPorts {
  /** Of all members that tell the time anywhere. */
  clocksWith(looks: readonly Look[]): readonly ClockFacts[];
  /** Members whose peer port says that a downgrade goes on. */
  readonly downgrading: readonly bigint[];
}

/** The first probe makes a connection, which takes its time: the shortest way counts. */
const probes = 3;

export async function clocksOf(session: Session, members: readonly MemberFacts[]): Promise<PeerPorts> {
  const downgrading: bigint[] = [];
  const probed = new Map<bigint, Ahead>();
  await Promise.all(
    members.map(async ({ id, peerUrls }) => {
      const [url] = peerUrls;
      if (url === undefined) return;
      const all: Ahead[] = [];
      for (let i = 0; i < probes; i++) {
        const page = await ask(() => session.get('/raft/probing', url));
        const ahead = page.kind === 'answered' ? aheadByProbing(page.value) : undefined;
        if (ahead === undefined) return;
        all.push(ahead);
      }
      probed.set(id, narrowed(all)!);
      const page = await ask(() => session.get('/downgrade/enabled', url));
      if (page.kind === 'answered' && isDowngrading(page.value)) downgrading.push(id);
    }),
  );
  return { downgrading, clocksWith: (looks) => [...precise(probed), ...coarse(probed, looks)] };
}

function precise(probed: ReadonlyMap<bigint, Ahead>): readonly ClockFacts[] {
  return [...probed].map(([memberId, { minMs, maxMs }]) => ({
    memberId,
    source: 'probing',
    aheadMinMs: minMs,
    aheadMaxMs: maxMs,
  }));
}

function coarse(probed: ReadonlyMap<bigint, Ahead>, looks: readonly Look[]): readonly ClockFacts[] {
  const found = new Map<bigint, ClockFacts>();
  for (const { facts, pages } of looks) {
    if (facts.status.kind !== 'answered') continue;
    const { memberId } = facts.status.value;
    const ahead = narrowed(pages.flatMap((page) => aheadByDate(page) ?? []));
    if (ahead === undefined || probed.has(memberId) || found.has(memberId)) continue;
    found.set(memberId, { memberId, source: 'date', aheadMinMs: ahead.minMs, aheadMaxMs: ahead.maxMs });
  }
  return [...found.values()];
}
