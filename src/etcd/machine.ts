/**
 * The replicated state machine: what the entries of the log do to keys, leases, alarms, users, members and the cluster's version. It is
 * deterministic: the same entries give every member the same revisions and the same answers. It knows no clock, no disk and no clients.
 */
import { etcdError } from '#api-etcd/errors.ts';
import { ConfState } from '#api-etcd/gen/raft.ts';
import type { InternalRaftRequest } from '#api-etcd/gen/raft_internal.ts';
import {
  type AlarmMember,
  type AlarmRequest,
  AlarmRequest_AlarmAction,
  AlarmResponse,
  AlarmType,
  CompactionResponse,
  type DeleteRangeResponse,
  LeaseGrantResponse,
  LeaseRevokeResponse,
  type PutResponse,
  type TxnResponse,
} from '#api-etcd/gen/rpc.ts';
import { Store } from '#mvcc/store.ts';
import { bytesOfKey, type Version } from '#mvcc/version.ts';
import { RpcError } from '#wire/grpc/status.ts';
import type { Caller } from './auth/caller.ts';
import {
  checkDeletePermission,
  checkLeaseWritePermission,
  checkPutPermission,
  checkTxnPermission,
} from './auth/check-request.ts';
import { type AuthResponse, applyAuth } from './auth/manage.ts';
import { AuthStore } from './auth/store.ts';
import { Members } from './cluster/members.ts';
import { headerAt } from './header.ts';
import { txnCost } from './kv/quota.ts';
import { checkPutAgainst, checkTxnAgainst, comparePath, deleteRange, put, txn } from './kv/write.ts';
import { Leases } from './lease/leases.ts';
import { type DowngradeInfo, noDowngrade } from './maintenance/downgrade-info.ts';

export type ApplyResponse =
  | PutResponse
  | DeleteRangeResponse
  | TxnResponse
  | CompactionResponse
  | LeaseGrantResponse
  | LeaseRevokeResponse
  | AlarmResponse
  | AuthResponse
  | undefined;

/** What an entry did. `changes` become watch events even when `error` is set (it then has none). */
export interface Applied {
  readonly response: ApplyResponse;
  readonly error: unknown;
  readonly changes: readonly Version[];
}

export interface MachineState {
  readonly store: Store;
  readonly leases: Leases;
  readonly auth: AuthStore;
  readonly alarms: Iterable<AlarmMember>;
  readonly members: Members;
  /** Who votes, as far as the entries that were applied say. */
  readonly confState: ConfState;
  /** Empty until the cluster has agreed on one. */
  readonly clusterVersion: string;
  readonly downgrade: DowngradeInfo;
}

export class Machine {
  readonly store: Store;
  readonly leases: Leases;
  readonly auth: AuthStore;
  readonly members: Members;
  /** Alarms by member and type. */
  readonly #alarms: Map<string, AlarmMember>;
  confState: ConfState;
  clusterVersion: string;
  downgrade: DowngradeInfo;

  constructor({
    store,
    leases,
    alarms,
    auth,
    members,
    confState,
    clusterVersion,
    downgrade,
  }: Partial<MachineState> = {}) {
    this.store = store ?? new Store();
    this.leases = leases ?? new Leases();
    this.auth = auth ?? new AuthStore();
    this.members = members ?? new Members();
    this.#alarms = new Map([...(alarms ?? [])].map((alarm) => [alarmKey(alarm), alarm]));
    this.confState = confState ?? ConfState.create();
    this.clusterVersion = clusterVersion ?? '';
    this.downgrade = downgrade ?? noDowngrade;
  }

  fork(): Machine {
    const { store, leases, auth, members, confState, clusterVersion, downgrade } = this;
    return new Machine({
      store: store.fork(),
      leases: leases.fork(),
      alarms: this.#alarms.values(),
      auth: auth.fork(),
      members: members.fork(),
      confState,
      clusterVersion,
      downgrade,
    });
  }

  get alarms(): readonly AlarmMember[] {
    return [...this.#alarms.values()];
  }

  hasAlarm(type: AlarmType): boolean {
    for (const { alarm } of this.#alarms.values()) if (alarm === type) return true;
    return false;
  }

  apply(request: InternalRaftRequest): Applied {
    const { store } = this;
    store.beginWrite();
    let response: ApplyResponse;
    let error: unknown;
    try {
      response = this.#apply(request);
    } catch (thrown) {
      // Anything but an answer to the client is a bug: better to stop than to disagree with the other members.
      if (!(thrown instanceof RpcError)) throw thrown;
      error = thrown;
    }
    return { response, error, changes: store.endWrite() };
  }

  #apply(request: InternalRaftRequest): ApplyResponse {
    const { store, leases } = this;
    // Who asked was known when it was asked. What they may do is looked at now: every member comes to the same answer.
    const caller: Caller = { username: request.header?.username ?? '', revision: request.header?.authRevision ?? 0 };
    if (this.hasAlarm(AlarmType.CORRUPT) && isRefusedWhenCorrupt(request)) throw etcdError('corrupt');
    if (request.put !== undefined) {
      if (this.hasAlarm(AlarmType.NOSPACE)) throw etcdError('noSpace');
      checkPutPermission(this, caller, request.put);
      checkPutAgainst(this, request.put);
      return put(this, request.put);
    }
    if (request.txn !== undefined) {
      if (this.hasAlarm(AlarmType.NOSPACE) && txnCost(request.txn) > 0) throw etcdError('noSpace');
      checkTxnPermission(this, caller, request.txn);
      const path = comparePath(store, request.txn);
      checkTxnAgainst(this, request.txn, path);
      const response = txn(this, request.txn, path);
      return { ...response, header: headerAt(store.viewRevision) };
    }
    if (request.deleteRange !== undefined) {
      checkDeletePermission(this, caller, request.deleteRange);
      return deleteRange(this, request.deleteRange);
    }
    if (request.compaction !== undefined) {
      store.compact(request.compaction.revision);
      return CompactionResponse.create({ header: headerAt(store.revision) });
    }
    if (request.leaseGrant !== undefined) {
      if (this.hasAlarm(AlarmType.NOSPACE)) throw etcdError('noSpace');
      const { id, ttl } = leases.grant(request.leaseGrant.id, request.leaseGrant.ttl);
      return LeaseGrantResponse.create({ header: headerAt(store.revision), id, ttl });
    }
    if (request.leaseRevoke !== undefined) {
      checkLeaseWritePermission(this, caller, request.leaseRevoke.id);
      const lease = leases.get(request.leaseRevoke.id);
      if (lease === undefined) throw etcdError('leaseNotFound');
      // In order of keys, so that every member makes the same revision of it.
      for (const key of [...lease.keys])
        deleteRange(this, { key: bytesOfKey(key), rangeEnd: new Uint8Array(0), prevKv: false });
      leases.remove(lease);
      return LeaseRevokeResponse.create({ header: headerAt(store.viewRevision) });
    }
    if (request.alarm !== undefined) return this.#alarm(request.alarm);
    if (request.clusterVersionSet !== undefined) this.clusterVersion = request.clusterVersionSet.ver;
    if (request.downgradeInfoSet !== undefined) {
      const { enabled, ver } = request.downgradeInfoSet;
      this.downgrade = enabled ? { enabled, targetVersion: ver } : noDowngrade;
    }
    if (request.clusterMemberAttrSet !== undefined) {
      const { memberID, memberAttributes } = request.clusterMemberAttrSet;
      if (memberAttributes !== undefined) this.members.setAttributes(memberID, memberAttributes);
    }
    return applyAuth(this.auth, request, caller);
  }

  #alarm({ action, memberID, alarm }: AlarmRequest): AlarmResponse {
    const header = headerAt(this.store.revision);
    const named = { memberID, alarm };
    const key = alarmKey(named);
    switch (action) {
      case AlarmRequest_AlarmAction.GET:
        return { header, alarms: this.alarms.filter((each) => alarm === AlarmType.NONE || each.alarm === alarm) };
      case AlarmRequest_AlarmAction.ACTIVATE:
        if (alarm === AlarmType.NONE) return AlarmResponse.create({ header });
        this.#alarms.set(key, named);
        return { header, alarms: [named] };
      case AlarmRequest_AlarmAction.DEACTIVATE: {
        const alarms = this.#alarms.delete(key) ? [named] : [];
        return { header, alarms };
      }
    }
  }
}

/** Once members disagree, no answer about keys and no change of them can be trusted. */
function isRefusedWhenCorrupt(request: InternalRaftRequest): boolean {
  const { put: putting, txn: transaction, deleteRange: deletion, range, compaction, leaseGrant, leaseRevoke } = request;
  return [putting, transaction, deletion, range, compaction, leaseGrant, leaseRevoke].some((arm) => arm !== undefined);
}

function alarmKey({ memberID, alarm }: AlarmMember): string {
  return `${memberID}/${alarm}`;
}
