/** The Maintenance service. */
import { etcdError } from '#api-etcd/errors.ts';
import { type AlarmResponse, AlarmType, Maintenance } from '#api-etcd/gen/rpc.ts';
import { type BoundService, bind } from '#rpc/call.ts';
import type { Member } from '../member.ts';
import { serverVersion } from '../version.ts';
import { hashKv } from './hash-kv.ts';
import { sendSnapshot } from './snapshot.ts';

export function maintenanceService(member: Member): BoundService {
  const { machine, store, identity } = member;
  return bind(Maintenance, {
    status() {
      const bytes = member.storeBytes;
      return {
        header: member.header(),
        version: serverVersion,
        dbSize: bytes,
        leader: identity.memberId,
        raftIndex: member.appliedIndex,
        raftTerm: member.term,
        raftAppliedIndex: member.appliedIndex,
        errors: machine.alarms.map(({ memberID, alarm }) => `memberID:${memberID} alarm:${alarmName(alarm)} `),
        dbSizeInUse: bytes,
        isLearner: false,
        storageVersion: '',
        dbSizeQuota: member.quotaBytes,
        downgradeInfo: { enabled: false, targetVersion: '' },
      };
    },

    async alarm(request) {
      const answered = (await member.propose({ alarm: request })) as AlarmResponse;
      return { ...answered, header: member.header() };
    },

    hashKV({ revision }) {
      return { header: member.header(), ...hashKv(store, revision) };
    },

    snapshot: (_request, sink) => sendSnapshot(member, sink),

    /** There are no pages to free: a checkpoint is written without gaps every time. */
    defragment: () => ({ header: undefined }),

    moveLeader({ targetID }) {
      if (targetID !== identity.memberId) throw etcdError('badLeaderTransferee');
      return { header: undefined };
    },
  });
}

export function alarmName(alarm: AlarmType): string {
  for (const [name, value] of Object.entries(AlarmType)) if (value === alarm) return name;
  return String(alarm);
}
