/** The Lease service. */
import { Lease, LeaseGrantResponse, LeaseRevokeResponse, LeaseTimeToLiveResponse } from '#api-etcd/gen/rpc.ts';
import { bytesOfKey } from '#mvcc/version.ts';
import { type BoundService, bind } from '#rpc/call.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { checkLeaseReadPermission, checkLeaseWritePermission } from '../auth/check-request.ts';
import { leaseCostBytes } from '../kv/quota.ts';
import type { Member } from '../member.ts';

export function leaseService(member: Member, authenticator: Authenticator): BoundService {
  const { machine, expiry } = member;
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
        checkLeaseWritePermission(machine, authenticator.knownCallerOf(context), id);
        const lease = machine.leases.get(id);
        const alive = lease !== undefined && expiry.renew(id, lease.ttl);
        if (alive) member.counters.leasesRenewed++;
        if (!sink.send({ header: member.header(), id, ttl: alive ? lease.ttl : 0 })) await sink.drained();
      }
    },

    leaseTimeToLive({ id, keys }, context) {
      const lease = machine.leases.get(id);
      const caller = authenticator.knownCallerOf(context);
      if (keys) checkLeaseReadPermission(machine, caller, lease);
      const header = member.header();
      if (lease === undefined) return LeaseTimeToLiveResponse.create({ header, id, ttl: -1 });
      return {
        header,
        id,
        ttl: Math.floor((expiry.remainingMs(id) ?? 0) / 1000),
        grantedTTL: lease.ttl,
        keys: keys ? [...lease.keys].sort().map(bytesOfKey) : [],
      };
    },

    leaseLeases(_request, context) {
      const caller = authenticator.knownCallerOf(context);
      for (const lease of machine.leases.all()) checkLeaseReadPermission(machine, caller, lease);
      const leases = [...machine.leases.all()]
        .map(({ id }) => ({ id, remainingMs: expiry.remainingMs(id) ?? 0 }))
        .sort((a, b) => a.remainingMs - b.remainingMs)
        .map(({ id }) => ({ id }));
      return { header: member.header(), leases };
    },
  });
}

/** A positive 63-bit id that no lease has. */
function freshId(member: Member): bigint {
  for (;;) {
    const id = member.nextId() & 0x7fff_ffff_ffff_ffffn;
    if (id !== 0n && member.machine.leases.get(id) === undefined) return id;
  }
}
