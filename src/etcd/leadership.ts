/** Dealing with whoever leads: asking what only the leader knows, and handing the lead over. */
import { etcdError } from '#api-etcd/errors.ts';
import { sleep } from '#std/clock.ts';
import { RpcError } from '#wire/grpc/status.ts';
import type { Member } from './member.ts';
import type { PeerCalls } from './peers/peers.ts';

/** Whoever leads is asked again, or looked for, after this. */
const leaderRetryMs = 50;
/** Between two looks whether somebody else leads. */
const handOverStepMs = 10;

/**
 * Asks whoever leads, if that is another member, until the time is up.
 * @throws RpcError
 */
export async function askLeader<T>(member: Member, call: (leader: PeerCalls) => Promise<T>): Promise<T> {
  const sinceMs = member.nowMs();
  for (;;) {
    const urls = member.isLeader ? undefined : member.machine.members.get(member.leader)?.peerUrls;
    const leader = urls && member.callsTo(urls);
    if (leader !== undefined)
      try {
        return await call(leader);
      } catch (error) {
        // What the leader says counts; that it cannot be reached, or leads no more, may pass.
        if (error instanceof RpcError) throw error;
      }
    if (member.isStopped) throw etcdError('stopped');
    if (member.nowMs() - sinceMs >= member.requestTimeoutMs) throw member.timedOut(sinceMs);
    await sleep(member.clock, leaderRetryMs);
  }
}

/**
 * The leader hands over. Resolves when the lead has changed hands.
 * @throws RpcError
 */
export async function moveLeader(member: Member, target: bigint): Promise<void> {
  const known = member.machine.members.get(target);
  if (known === undefined || known.isLearner) throw etcdError('badLeaderTransferee');
  const sinceMs = member.nowMs();
  member.replica?.transferLeader(target);
  while (member.leader !== target) {
    if (member.nowMs() - sinceMs >= member.requestTimeoutMs) throw etcdError('timeoutLeaderTransfer');
    if (member.isStopped) throw etcdError('stopped');
    await sleep(member.clock, leaderRetryMs);
  }
}

/**
 * Before a clean stop: a leader of several hands over to whoever has heard most, so that nobody has to wait for an election. Gives up
 * after an election timeout.
 */
export async function handOver(member: Member): Promise<void> {
  const { replica, electionTimeoutMs } = member;
  if (replica === undefined || !replica.isLeader) return;
  const { memberId } = member.identity;
  const target = member.machine.members
    .voters()
    .filter(({ id }) => id !== memberId && replica.progress(id)?.recentActive === true)
    .sort((a, b) => replica.progress(b.id)!.match - replica.progress(a.id)!.match)[0];
  if (target === undefined) return;
  const sinceMs = member.nowMs();
  replica.transferLeader(target.id);
  while (replica.isLeader && member.nowMs() - sinceMs < electionTimeoutMs) await sleep(member.clock, handOverStepMs);
}
