/** Which path of the JSON gateway is which call. (upstream: api/etcdserverpb/gw, v3lock, v3election) */
import { Election } from '#api-etcd/gen/election.ts';
import { Lock } from '#api-etcd/gen/lock.ts';
import { Auth, Cluster, KV, Lease, Maintenance, Watch } from '#api-etcd/gen/rpc.ts';
import type { Method } from '#wire/grpc/service.ts';

const kv = KV.methods;
const lease = Lease.methods;
const cluster = Cluster.methods;
const maintenance = Maintenance.methods;
const auth = Auth.methods;
const lock = Lock.methods;
const election = Election.methods;

export const gatewayRoutes: ReadonlyMap<string, Method> = new Map<string, Method>(
  Object.entries({
    '/v3/kv/range': kv.range,
    '/v3/kv/put': kv.put,
    '/v3/kv/deleterange': kv.deleteRange,
    '/v3/kv/txn': kv.txn,
    '/v3/kv/compaction': kv.compact,
    '/v3/watch': Watch.methods.watch,
    '/v3/lease/grant': lease.leaseGrant,
    '/v3/lease/revoke': lease.leaseRevoke,
    '/v3/kv/lease/revoke': lease.leaseRevoke,
    '/v3/lease/keepalive': lease.leaseKeepAlive,
    '/v3/lease/timetolive': lease.leaseTimeToLive,
    '/v3/kv/lease/timetolive': lease.leaseTimeToLive,
    '/v3/lease/leases': lease.leaseLeases,
    '/v3/kv/lease/leases': lease.leaseLeases,
    '/v3/cluster/member/add': cluster.memberAdd,
    '/v3/cluster/member/remove': cluster.memberRemove,
    '/v3/cluster/member/update': cluster.memberUpdate,
    '/v3/cluster/member/list': cluster.memberList,
    '/v3/cluster/member/promote': cluster.memberPromote,
    '/v3/maintenance/alarm': maintenance.alarm,
    '/v3/maintenance/status': maintenance.status,
    '/v3/maintenance/defragment': maintenance.defragment,
    '/v3/maintenance/hash': maintenance.hash,
    '/v3/maintenance/hashkv': maintenance.hashKV,
    '/v3/maintenance/snapshot': maintenance.snapshot,
    '/v3/maintenance/transfer-leadership': maintenance.moveLeader,
    '/v3/maintenance/downgrade': maintenance.downgrade,
    '/v3/auth/enable': auth.authEnable,
    '/v3/auth/disable': auth.authDisable,
    '/v3/auth/status': auth.authStatus,
    '/v3/auth/authenticate': auth.authenticate,
    '/v3/auth/user/add': auth.userAdd,
    '/v3/auth/user/get': auth.userGet,
    '/v3/auth/user/list': auth.userList,
    '/v3/auth/user/delete': auth.userDelete,
    '/v3/auth/user/changepw': auth.userChangePassword,
    '/v3/auth/user/grant': auth.userGrantRole,
    '/v3/auth/user/revoke': auth.userRevokeRole,
    '/v3/auth/role/add': auth.roleAdd,
    '/v3/auth/role/get': auth.roleGet,
    '/v3/auth/role/list': auth.roleList,
    '/v3/auth/role/delete': auth.roleDelete,
    '/v3/auth/role/grant': auth.roleGrantPermission,
    '/v3/auth/role/revoke': auth.roleRevokePermission,
    '/v3/lock/lock': lock.lock,
    '/v3/lock/unlock': lock.unlock,
    '/v3/election/campaign': election.campaign,
    '/v3/election/proclaim': election.proclaim,
    '/v3/election/leader': election.leader,
    '/v3/election/observe': election.observe,
    '/v3/election/resign': election.resign,
  }) as [string, Method][],
);
