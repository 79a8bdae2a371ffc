/** The hashes of all members at one revision that all of them have. */
import { HashKVRequest, Maintenance } from '#api-etcd/gen/rpc.ts';
import type { Session } from '../session.ts';
import { ask } from './ask.ts';
import type { EndpointFacts, Facts, HashFacts } from './facts.ts';

/** A compaction in between makes hashes differ: then they are asked for again, at what is the newest revision by then. */
const attempts = 3;

/** @param sessions of the members that answer; @param looks their latest statuses among others */
export async function hashesOf(
  sessions: readonly Session[],
  looks: readonly EndpointFacts[],
): Promise<Facts['hashes']> {
  const ids = new Map<bigint, Session>();
  const revisions: number[] = [];
  for (const session of sessions) {
    const status = looks.find(({ url }) => url === session.endpoint)?.statusLater;
    if (status?.kind !== 'answered') continue;
    revisions.push(status.value.revision);
    if (!ids.has(status.value.memberId)) ids.set(status.value.memberId, session);
  }
  if (ids.size === 0) return undefined;
  let revision = Math.min(...revisions);
  for (let left = attempts; ; ) {
    const answers = await Promise.all([...ids].map(([memberId, session]) => hashOf(session, memberId, revision)));
    if (--left === 0 || isComparable(answers)) return { revision, answers };
    const now = await Promise.all([...ids.values()].map(({ client, call }) => ask(() => client.status(call))));
    revision = Math.min(...now.map((each) => (each.kind === 'answered' ? each.value.header!.revision : revision)));
  }
}

async function hashOf({ channel, call }: Session, memberId: bigint, revision: number): Promise<HashFacts> {
  const answer = await ask(async () => {
    const { hash, compactRevision } = await channel.unary(
      Maintenance.methods.hashKV,
      HashKVRequest.create({ revision }),
      call,
    );
    return { hash, compactRevision };
  });
  return { memberId, answer };
}

function isComparable(answers: readonly HashFacts[]): boolean {
  const compacted = answers.flatMap(({ answer }) => (answer.kind === 'answered' ? [answer.value.compactRevision] : []));
  const passing = answers.some(
    ({ answer }) => answer.kind === 'refused' && /compacted|future revision/.test(answer.why),
  );
  return !passing && new Set(compacted).size <= 1;
}
