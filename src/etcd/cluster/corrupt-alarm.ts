/** The alarm that a member holds other data than the others: under it nothing is written any more. */
import { AlarmRequest_AlarmAction, AlarmType } from '#api-etcd/gen/rpc.ts';
import type { Member } from '../member.ts';

/** @param id of the member that it names; 0 for one that nobody can tell. @returns false when it stood already. @throws RpcError */
export async function raiseCorrupt(member: Member, id: bigint): Promise<boolean> {
  if (member.machine.alarms.some((each) => each.alarm === AlarmType.CORRUPT && each.memberID === id)) return false;
  const alarm = { action: AlarmRequest_AlarmAction.ACTIVATE, memberID: id, alarm: AlarmType.CORRUPT };
  await member.propose({ alarm });
  return true;
}
