/** The Maintenance service. */
import { etcdError, etcdErrorMessage } from '#api-etcd/errors.ts';
import { AlarmRequest_AlarmAction, type AlarmResponse, AlarmType, Maintenance } from '#api-etcd/gen/rpc.ts';
import { type BoundService, bind } from '#rpc/call.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { moveLeader } from '../leadership.ts';
import type { Member } from '../member.ts';
import { serverVersion } from '../version.ts';
import { downgrade } from './downgrade.ts';
import { hashOfBackend } from './hash.ts';
import { hashAt } from './hash-at.ts';
import { sendSnapshot } from './snapshot.ts';

export function maintenanceService(member: Member, authenticator: Authenticator): BoundService {
  return bind(Maintenance, {
    status(_request, context) {
      authenticator.knownCallerOf(context);
      const bytes = member.storeBytes;
      const errors = member.machine.alarms.map(
        ({ memberID, alarm }) => `memberID:${memberID} alarm:${alarmName(alarm)} `,
      );
      return {
        header: member.header(),
        version: serverVersion,
        dbSize: bytes,
        leader: member.leader,
        raftIndex: member.committedIndex,
        raftTerm: member.term,
        raftAppliedIndex: member.appliedIndex,
        errors: member.leader === 0n ? [...errors, etcdErrorMessage('noLeader')] : errors,
        dbSizeInUse: bytes,
        isLearner: member.isLearner,
        storageVersion: '',
        dbSizeQuota: member.quotaBytes,
        downgradeInfo: member.machine.downgrade,
      };
    },

    async alarm(request, context) {
      const isQuestion = request.action === AlarmRequest_AlarmAction.GET;
      const caller = isQuestion ? authenticator.knownCallerOf(context) : authenticator.checkAdmin(context);
      const answered = (await member.propose({ alarm: request }, caller)) as AlarmResponse;
      return { ...answered, header: member.header() };
    },

    async hashKV({ revision }, context) {
      authenticator.checkAdmin(context);
      const header = member.header();
      return { header, ...(await hashAt(member, revision)) };
    },

    async hash(_request, context) {
      authenticator.checkAdmin(context);
      const header = member.header();
      return { header, hash: await hashOfBackend(member.machine.fork()) };
    },

    async downgrade(request, context) {
      return await downgrade(member, request, authenticator.checkAdmin(context));
    },

    async snapshot(_request, sink, context) {
      authenticator.checkAdmin(context);
      await sendSnapshot(member, sink);
    },

    /** There are no pages to free: a checkpoint is written without gaps every time. */
    defragment(_request, context) {
      authenticator.checkAdmin(context);
      return { header: undefined };
    },

    async moveLeader({ targetID }, context) {
      authenticator.checkAdmin(context);
      if (!member.isLeader) throw etcdError('notLeader');
      await moveLeader(member, targetID);
      return { header: undefined };
    },
  });
}

export function alarmName(alarm: AlarmType): string {
  for (const [name, value] of Object.entries(AlarmType)) if (value === alarm) return name;
  return String(alarm);
}
