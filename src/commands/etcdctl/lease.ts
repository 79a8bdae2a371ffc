/** `etcdctl lease grant|revoke|timetolive|list|keep-alive`. */
import { etcdErrorMessage } from '#api-etcd/errors.ts';
import { Lease, type ResponseHeader } from '#api-etcd/gen/rpc.ts';
import { systemClock } from '#host/clock.ts';
import { sleep } from '#std/clock.ts';
import { RpcError } from '#wire/grpc/status.ts';
import { fields, goJson, headerFields, headerJson, omitZero } from './print.ts';
import { EtcdctlExit, integer, leaseId, type Session, type Verb, wrong } from './session.ts';

const hex = (id: bigint) => BigInt.asUintN(64, id).toString(16).padStart(16, '0');

export const leaseVerbs: Readonly<Record<string, Verb>> = {
  grant: {
    async run({ client, args, call, format, print }) {
      if (args.length !== 1) throw wrong('lease grant command needs TTL argument');
      const { header, id, ttl } = await client.leaseGrant({ ttl: integer(args[0]!, 'bad TTL') }, call);
      if (format === 'json') print(`${goJson({ ...headerJson(header), ID: id, TTL: ttl, Error: '' })}\n`);
      else if (format === 'fields')
        print(
          headerFields(header) +
            fields([
              ['ID', id],
              ['TTL', ttl],
            ]),
        );
      else print(`lease ${hex(id)} granted with TTL(${ttl}s)\n`);
    },
  },
  revoke: {
    async run(session) {
      const { client, call, format, print } = session;
      const id = oneLease(session, 'lease revoke command needs 1 argument');
      const { header } = await client.leaseRevoke({ id }, call).catch((error: unknown) => {
        throw wrong(`failed to revoke lease (${RpcError.from(error).message})`, EtcdctlExit.error);
      });
      if (format === 'json') print(`${goJson({ header: headerJson(header) })}\n`);
      else if (format === 'fields') print(headerFields(header));
      else print(`lease ${hex(id)} revoked\n`);
    },
  },
  timetolive: {
    flags: { keys: { kind: 'bool', usage: 'get keys attached to this lease' } },
    async run(session) {
      const { channel, flags, call, format, print } = session;
      const id = oneLease(session, 'lease timetolive command needs lease ID as argument');
      const wantsKeys = flags.bool('keys');
      const answer = await channel.unary(Lease.methods.leaseTimeToLive, { id, keys: wantsKeys }, call);
      const { header, ttl, grantedTTL, keys } = answer;
      if (format === 'json') {
        print(
          `${goJson({ ...headerJson(header), id, ttl, 'granted-ttl': grantedTTL, keys: keys.length > 0 ? keys : null })}\n`,
        );
        return;
      }
      if (format === 'fields') {
        print(headerFields(header) + timeToLiveFields(id, ttl, grantedTTL));
        return;
      }
      if (grantedTTL === 0 && ttl === -1) {
        print(`lease ${hex(id)} already expired\n`);
        return;
      }
      const attached = wantsKeys
        ? `, attached keys([${keys.map((key) => Buffer.from(key).toString()).join(' ')}])`
        : '';
      print(`lease ${hex(id)} granted with TTL(${grantedTTL}s), remaining(${ttl}s)${attached}\n`);
    },
  },
  list: {
    async run({ channel, call, format, print }) {
      const { header, leases } = await channel.unary(Lease.methods.leaseLeases, {}, call);
      if (format === 'json') {
        print(`${goJson({ ...headerJson(header), leases: leases.map(({ id }) => ({ id })) })}\n`);
        return;
      }
      if (format === 'fields') {
        print(headerFields(header) + leases.map(({ id }) => fields([['ID', id]])).join(''));
        return;
      }
      print(`found ${leases.length} leases\n${leases.map(({ id }) => `${hex(id)}\n`).join('')}`);
    },
  },
  'keep-alive': {
    flags: { once: { kind: 'bool', usage: 'resets the keep-alive time to its original value and exits immediately' } },
    async run(session) {
      const { client, call, flags, print } = session;
      const id = oneLease(session, 'lease keep-alive command needs lease ID as argument');
      for (;;) {
        const { header, ttl } = await client.leaseKeepAlive(id, call);
        if (ttl <= 0 && flags.bool('once')) throw wrong(etcdErrorMessage('leaseNotFound'), EtcdctlExit.badConnection);
        if (ttl <= 0) {
          print(`lease ${hex(id)} expired or revoked.\n`);
          return;
        }
        printKeptAlive(session, header, id, ttl);
        if (flags.bool('once')) return;
        await sleep(systemClock, (ttl * 1000) / 3);
      }
    },
  },
};

function printKeptAlive({ format, print }: Session, header: ResponseHeader | undefined, id: bigint, ttl: number): void {
  if (format === 'json') print(`${goJson({ ...omitZero({ ...headerJson(header) }), ID: id, TTL: ttl })}\n`);
  else if (format === 'fields')
    print(
      headerFields(header) +
        fields([
          ['ID', id],
          ['TTL', ttl],
        ]),
    );
  else print(`lease ${hex(id)} keepalived with TTL(${ttl})\n`);
}

function timeToLiveFields(id: bigint, ttl: number, grantedTTL: number): string {
  return fields([
    ['ID', id],
    ['TTL', ttl],
    ['GrantedTTL', grantedTTL],
  ]);
}

function oneLease({ args }: Session, usage: string): bigint {
  if (args.length !== 1) throw wrong(usage);
  return leaseId(args[0]!);
}
