/** The Lease service. */
import { Lease, LeaseGrantResponse, LeaseRevokeResponse, LeaseTimeToLiveResponse } from '#api-etcd/gen/rpc.ts';
import { bytesOfKey } from '#mvcc/version.ts';
import { type BoundService, bind } from '#rpc/call.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { checkLeaseReadPermission, checkLeaseWritePermission } from '../auth/check-request.ts';
import { leaseCostBytes } from '../kv/quota.ts';
import { askLeader } from '../leadership.ts';
import type { Member } from '../member.ts';

export function leaseService(member: Member, authenticator: Authenticator): BoundService {
  return bind(Lease, {
    async leaseGrant({ ttl, id }, context) {
      member.checkQuota(leaseCostBytes);
      const caller = authenticator.knownCallerOf(context);
      const leaseGrant = { ttl, id: id === 0n ? freshId(member) : id };
      const granted = (await member.propose({ leaseGrant }, caller)) as LeaseGrantResponse;
      return LeaseGrantResponse.create({ header: member.header(), id: granted.id, ttl: granted.ttl });
    },

    async leaseRevoke({ id }, context) {
      const caller = authenticator.knownCallerOf(context);
      const revoked = (await member.propose({ leaseRevoke: { id } }, caller)) as LeaseRevokeResponse;
      return LeaseRevokeResponse.create({ header: member.header(revoked.header!.revision) });
    },

    /** Not through the log: only the leader counts time. A lease that is gone answers TTL 0. */
    async leaseKeepAlive(requests, sink, context) {
      for await (const { id } of requests) {
        const caller = authenticator.knownCallerOf(context);
        checkLeaseWritePermission(member.machine, caller, id);
        const ttl = await renew(member, id);
        if (!sink.send({ header: member.header(), id, ttl })) await sink.drained();
      }
    },

    async leaseTimeToLive({ id, keys }, context) {
      const caller = authenticator.knownCallerOf(context);
      await member.linearized();
      const { machine } = member;
      if (keys) checkLeaseReadPermission(machine, machine.auth.current(caller), machine.leases.get(id));
      if (member.isLeader) return timeToLive(member, id, keys);
      const told = await askLeader(member, (leader) => leader.leaseTimeToLive(id, keys));
      return { ...told, header: member.header() };
    },

    leaseLeases(_request, context) {
      const caller = authenticator.knownCallerOf(context);
      const { machine, expiry } = member;
      for (const lease of machine.leases.all()) checkLeaseReadPermission(machine, caller, lease);
      const leases = [...machine.leases.all()]
        .map(({ id }) => ({ id, remainingMs: expiry.remainingMs(id) ?? 0 }))
        .sort((a, b) => a.remainingMs - b.remainingMs)
        .map(({ id }) => ({ id }));
      return { header: member.header(), leases };
    },
  });
}

/**
 * Starts a lease's time anew, here or through whoever leads. Resolves with its whole time in seconds; 0 for one that is gone.
 * A leader first makes sure that it still leads: a newer one would let the lease end by its own count.
 */
async function renew(member: Member, id: bigint): Promise<number> {
  await member.linearized();
  if (!member.isLeader) return askLeader(member, (leader) => leader.renewLease(id));
  return renewHere(member, id) ?? 0;
}

/** For a leader that has made sure that it leads. Undefined for a lease that is gone. */
export function renewHere({ machine, expiry, counters }: Member, id: bigint): number | undefined {
  const lease = machine.leases.get(id);
  if (lease === undefined || !expiry.renew(id, lease.ttl)) return undefined;
  counters.leasesRenewed++;
  return lease.ttl;
}

/** For a leader that has made sure that it leads. A lease that is gone answers TTL -1. */
export function timeToLive(member: Member, id: bigint, keys: boolean): LeaseTimeToLiveResponse {
  const lease = member.machine.leases.get(id);
  const header = member.header();
  if (lease === undefined) return LeaseTimeToLiveResponse.create({ header, id, ttl: -1 });
  return {
    header,
    id,
    ttl: Math.floor((member.expiry.remainingMs(id) ?? 0) / 1000),
    grantedTTL: lease.ttl,
    keys: keys ? [...lease.keys].map(bytesOfKey) : [],
  };
}

/** A positive 63-bit id that no lease has. */
function freshId(member: Member): bigint {
  for (;;) {
    const id = member.nextId() & 0x7fff_ffff_ffff_ffffn;
    if (id !== 0n && member.machine.leases.get(id) === undefined) return id;
  }
}
