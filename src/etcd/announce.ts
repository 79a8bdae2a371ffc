/** A member tells the cluster what only it knows: what it is called, and where clients reach it. */
import { isEtcdError } from '#api-etcd/errors.ts';
import { type Clock, sleep } from '#std/clock.ts';
import { RpcError } from '#wire/grpc/status.ts';
import type { Member } from './member.ts';
import { clusterVersion } from './version.ts';

const retryMs = 50;

/** Resolves when the cluster knows; rejects when the member stops before. */
export async function announce(member: Member, clock: Clock): Promise<void> {
  const { memberId: memberID, name, clientUrls } = member.identity;
  for (;;) {
    try {
      // A cluster that has a leader, and everything it had agreed on before this start.
      await member.linearized();
      const known = member.machine.members.get(memberID);
      if (known === undefined) await sleep(clock, retryMs);
      else if (known.name !== name || known.clientUrls.join() !== clientUrls.join())
        await member.propose({
          clusterMemberAttrSet: { memberID, memberAttributes: { name, clientUrls: [...clientUrls] } },
        });
      else if (isAlone(member) && member.machine.clusterVersion === '')
        await member.propose({ clusterVersionSet: { ver: clusterVersion } });
      else return;
    } catch (error) {
      if (!(error instanceof RpcError) || isEtcdError(error, 'stopped')) throw error;
      await sleep(clock, retryMs);
    }
  }
}

/** Nobody else has a say in the cluster's version. */
function isAlone({ replica }: Member): boolean {
  return replica === undefined || replica.isAlone;
}
