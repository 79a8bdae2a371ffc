/**
 * The errors that etcd's servers answer with: code and text to the letter, because clients match on the text
 * (upstream: api/v3rpc/rpctypes). One table; servers make errors with {@link etcdError}, clients ask {@link isEtcdError}.
 */
import { Code, RpcError } from '#wire/grpc/status.ts';

const table = {
  emptyKey: [Code.InvalidArgument, 'etcdserver: key is not provided'],
  keyNotFound: [Code.InvalidArgument, 'etcdserver: key not found'],
  valueProvided: [Code.InvalidArgument, 'etcdserver: value is provided'],
  leaseProvided: [Code.InvalidArgument, 'etcdserver: lease is provided'],
  tooManyOps: [Code.InvalidArgument, 'etcdserver: too many operations in txn request'],
  duplicateKey: [Code.InvalidArgument, 'etcdserver: duplicate key given in txn request'],
  invalidClientApiVersion: [Code.InvalidArgument, 'etcdserver: invalid client api version'],
  invalidSortOption: [Code.InvalidArgument, 'etcdserver: invalid sort option'],
  compacted: [Code.OutOfRange, 'etcdserver: mvcc: required revision has been compacted'],
  futureRevision: [Code.OutOfRange, 'etcdserver: mvcc: required revision is a future revision'],
  noSpace: [Code.ResourceExhausted, 'etcdserver: mvcc: database space exceeded'],
  leaseNotFound: [Code.NotFound, 'etcdserver: requested lease not found'],
  leaseExists: [Code.FailedPrecondition, 'etcdserver: lease already exists'],
  leaseTtlTooLarge: [Code.OutOfRange, 'etcdserver: too large lease TTL'],
  watchCanceled: [Code.Canceled, 'etcdserver: watch canceled'],
  memberExists: [Code.FailedPrecondition, 'etcdserver: member ID already exist'],
  peerUrlExists: [Code.FailedPrecondition, 'etcdserver: Peer URLs already exists'],
  memberNotEnoughStarted: [
    Code.FailedPrecondition,
    'etcdserver: re-configuration failed due to not enough started members',
  ],
  memberBadUrls: [Code.InvalidArgument, 'etcdserver: given member URLs are invalid'],
  memberNotFound: [Code.NotFound, 'etcdserver: member not found'],
  memberNotLearner: [Code.FailedPrecondition, 'etcdserver: can only promote a learner member'],
  learnerNotReady: [
    Code.FailedPrecondition,
    'etcdserver: can only promote a learner member which is in sync with leader',
  ],
  tooManyLearners: [Code.FailedPrecondition, 'etcdserver: too many learner members in cluster'],
  clusterIdMismatch: [Code.FailedPrecondition, 'etcdserver: cluster ID mismatch'],
  requestTooLarge: [Code.InvalidArgument, 'etcdserver: request is too large'],
  tooManyRequests: [Code.ResourceExhausted, 'etcdserver: too many requests'],
  rootUserNotExist: [Code.FailedPrecondition, 'etcdserver: root user does not exist'],
  rootRoleNotExist: [Code.FailedPrecondition, 'etcdserver: root user does not have root role'],
  userExists: [Code.FailedPrecondition, 'etcdserver: user name already exists'],
  userEmpty: [Code.InvalidArgument, 'etcdserver: user name is empty'],
  userNotFound: [Code.FailedPrecondition, 'etcdserver: user name not found'],
  roleExists: [Code.FailedPrecondition, 'etcdserver: role name already exists'],
  roleNotFound: [Code.FailedPrecondition, 'etcdserver: role name not found'],
  roleEmpty: [Code.InvalidArgument, 'etcdserver: role name is empty'],
  authFailed: [Code.InvalidArgument, 'etcdserver: authentication failed, invalid user ID or password'],
  noPasswordUser: [Code.Unknown, 'auth: authentication failed, password was given for no password user'],
  permissionNotGiven: [Code.InvalidArgument, 'etcdserver: permission not given'],
  permissionDenied: [Code.PermissionDenied, 'etcdserver: permission denied'],
  roleNotGranted: [Code.FailedPrecondition, 'etcdserver: role is not granted to the user'],
  permissionNotGranted: [Code.FailedPrecondition, 'etcdserver: permission is not granted to the role'],
  authNotEnabled: [Code.FailedPrecondition, 'etcdserver: authentication is not enabled'],
  invalidAuthToken: [Code.Unauthenticated, 'etcdserver: invalid auth token'],
  invalidAuthManagement: [Code.InvalidArgument, 'etcdserver: invalid auth management'],
  authOldRevision: [Code.InvalidArgument, 'etcdserver: revision of auth store is old'],
  noLeader: [Code.Unavailable, 'etcdserver: no leader'],
  notLeader: [Code.FailedPrecondition, 'etcdserver: not leader'],
  leaderChanged: [Code.Unavailable, 'etcdserver: leader changed'],
  notCapable: [Code.FailedPrecondition, 'etcdserver: not capable'],
  stopped: [Code.Unavailable, 'etcdserver: server stopped'],
  timeout: [Code.Unavailable, 'etcdserver: request timed out'],
  timeoutLeaderFailed: [Code.Unavailable, 'etcdserver: request timed out, possibly due to previous leader failure'],
  timeoutConnectionLost: [Code.Unavailable, 'etcdserver: request timed out, possibly due to connection lost'],
  timeoutLeaderTransfer: [Code.Unavailable, 'etcdserver: request timed out, leader transfer took too long'],
  timeoutWaitApplied: [Code.Unavailable, 'etcdserver: request timed out, waiting for the applied index took too long'],
  unhealthy: [Code.Unavailable, 'etcdserver: unhealthy cluster'],
  corrupt: [Code.DataLoss, 'etcdserver: corrupt cluster'],
  notSupportedForLearner: [Code.FailedPrecondition, 'etcdserver: rpc not supported for learner'],
  badLeaderTransferee: [Code.FailedPrecondition, 'etcdserver: bad leader transferee'],
  wrongDowngradeVersionFormat: [Code.InvalidArgument, 'etcdserver: wrong downgrade target version format'],
  invalidDowngradeTargetVersion: [Code.InvalidArgument, 'etcdserver: invalid downgrade target version'],
  downgradeInProcess: [Code.FailedPrecondition, 'etcdserver: cluster has a downgrade job in progress'],
  noInflightDowngrade: [Code.FailedPrecondition, 'etcdserver: no inflight downgrade job'],
  canceled: [Code.Canceled, 'etcdserver: request canceled'],
} as const satisfies Readonly<Record<string, readonly [Code, string]>>;

export type EtcdErrorName = keyof typeof table;

export function etcdError(name: EtcdErrorName): RpcError {
  const [code, message] = table[name];
  return new RpcError(code, message);
}

/** The text of an error, as watch cancellations carry it. */
export function etcdErrorMessage(name: EtcdErrorName): string {
  return table[name][1];
}

export function isEtcdError(error: unknown, name: EtcdErrorName): boolean {
  const [code, message] = table[name];
  return error instanceof RpcError && error.code === code && error.message === message;
}
