/** How one control plane of several is doing, as it says over its control socket. */
import type { Etcd } from '#etcd/start.ts';
import type { KubeObject } from '#kube-apiserver/object.ts';
import type { ObjectReader } from '#kube-apiserver/reader.ts';

export interface MemberStatus {
  /** 16 hexadecimal digits. */
  readonly memberId: string;
  readonly role: 'leader' | 'follower' | 'candidate';
  /** Id of the member that this one follows; empty while it knows of none. */
  readonly leaderId: string;
  readonly term: number;
  readonly committedIndex: number;
  readonly appliedIndex: number;
  readonly revision: number;
}

export interface LeaseStatus {
  /** `kube-scheduler` or `kube-controller-manager`. */
  readonly name: string;
  /** Empty: given back. */
  readonly holder: string;
  /** RFC 3339 with microseconds, by the holder's clock. */
  readonly acquireTime: string;
  readonly renewTime: string;
  readonly transitions: number;
}

export interface PlaneStatus {
  readonly name: string;
  readonly pid: number;
  readonly version: string;
  readonly phase: 'starting' | 'ready' | 'stopping';
  /** Takes connections. */
  readonly open: boolean;
  /** Undefined on somebody else's etcd. */
  readonly member?: MemberStatus;
  /** As this one's apiserver sees them. */
  readonly leases: readonly LeaseStatus[];
}

export function memberStatus({ member }: Pick<Etcd, 'member'>): MemberStatus {
  const { identity, leader, isLeader, term, committedIndex, appliedIndex, store } = member;
  return {
    memberId: hexId(identity.memberId),
    role: isLeader ? 'leader' : leader === 0n ? 'candidate' : 'follower',
    leaderId: leader === 0n ? '' : hexId(leader),
    ...{ term, committedIndex, appliedIndex, revision: store.revision },
  };
}

const watchedLeases = ['kube-scheduler', 'kube-controller-manager'] as const;

interface LeaseObject extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export function leaseStatuses(reader: ObjectReader): LeaseStatus[] {
  return watchedLeases.flatMap((name) => {
    const kind = { group: 'coordination.k8s.io', resource: 'leases' };
    const lease = reader.get(kind, 'kube-system', name) as LeaseObject | undefined;
    if (lease?.spec === undefined) return [];
    const { holderIdentity = '', acquireTime = '', renewTime = '', leaseTransitions = 0 } = lease.spec;
    return [{ name, holder: holderIdentity, acquireTime, renewTime, transitions: leaseTransitions }];
  });
}

function hexId(id: bigint): string {
  return id.toString(16).padStart(16, '0');
}
