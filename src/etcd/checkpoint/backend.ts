/**
 * A member's state as upstream's backend file: which buckets there are and what their pairs mean. Writing lays out a complete file of
 * a pinned state; reading gives a machine back. (upstream: server/storage/schema)
 */
import { Lease } from '#api-etcd/gen/lease.ts';
import type { Attributes } from '#api-etcd/gen/membership.ts';
import { AlarmMember } from '#api-etcd/gen/rpc.ts';
import { Store } from '#mvcc/store.ts';
import { BboltError } from '#storage/bbolt/format.ts';
import { BboltReader } from '#storage/bbolt/read.ts';
import { type BboltFile, type BucketSource, layOut, type Pair } from '#storage/bbolt/write.ts';
import { Leases } from '../lease/leases.ts';
import { Machine } from '../machine.ts';
import { recordKey } from '../maintenance/hash-kv.ts';
import type { MemberIdentity } from '../member.ts';

/** Where in the log the state stands. */
export interface AppliedPlace {
  readonly index: number;
  readonly term: number;
}

/** @param machine nobody changes it while the file is being written: a fork */
export function backendFile(machine: Machine, identity: MemberIdentity, applied: AppliedPlace): BboltFile {
  const { store, leases, alarms, clusterVersion } = machine;
  const bucket = (name: string, pairs: readonly Pair[] = []): BucketSource => ({ name, pairs: () => sorted(pairs) });
  return layOut([
    bucket(
      'alarm',
      alarms.map((alarm) => ({ key: AlarmMember.encode(alarm), value: nothing })),
    ),
    bucket('auth'),
    bucket('authRoles'),
    bucket('authUsers'),
    bucket('cluster', clusterVersion === '' ? [] : [{ key: text('clusterVersion'), value: text(clusterVersion) }]),
    {
      name: 'key',
      *pairs() {
        for (const version of store.all()) yield { key: recordKey(version), value: version.record };
      },
    },
    bucket(
      'lease',
      [...leases.all()].map(({ id, ttl }) => ({
        key: uint64(BigInt.asUintN(64, id)),
        value: Lease.encode(Lease.create({ id, ttl })),
      })),
    ),
    bucket('members', [{ key: text(identity.memberId.toString(16)), value: memberJson(machine, identity) }]),
    bucket('members_removed'),
    bucket('meta', metaPairs(store, identity, applied)),
  ]);
}

/**
 * @throws BboltError for a damaged file
 * @throws Error for what is sound but not supported: authentication, more than one member
 */
export function readBackend(file: Buffer): { readonly machine: Machine; readonly applied: AppliedPlace } {
  const reader = new BboltReader(file);
  refuseUnsupported(reader);
  const meta = mapOf(reader, 'meta');
  const store = new Store();
  const leases = new Leases();
  for (const { value } of reader.pairs('lease')) {
    const { id, ttl } = Lease.decode(value);
    leases.grant(id, ttl);
  }
  for (const { key, value } of reader.pairs('key')) {
    const bytes = Buffer.from(key.buffer, key.byteOffset, key.length);
    if (bytes.length < 17) throw new BboltError('a revision is cut');
    store.restore(Number(bytes.readBigUInt64BE(0)), Number(bytes.readBigUInt64BE(9)), bytes.length === 18, value);
  }
  // A compaction that was under way goes on.
  store.restored(revisionOf(meta.get('finishedCompactRev')), revisionOf(meta.get('scheduledCompactRev')));
  for (const version of store.live()) {
    const { lease } = version.keyValue();
    if (lease !== 0n) leases.attach(version.key, lease);
  }
  const alarms = [...reader.pairs('alarm')].map(({ key }) => AlarmMember.decode(key));
  const clusterVersion = mapOf(reader, 'cluster').get('clusterVersion')?.toString() ?? '';
  const attributes = new Map<bigint, Attributes>();
  for (const { key, value } of reader.pairs('members')) {
    const { name = '', clientURLs = [] } = parseMember(value);
    attributes.set(BigInt(`0x${Buffer.from(key).toString()}`), { name, clientUrls: clientURLs });
  }
  return {
    machine: new Machine(store, leases, alarms, clusterVersion, attributes),
    applied: { index: uint64Of(meta.get('consistent_index')), term: uint64Of(meta.get('term')) },
  };
}

function refuseUnsupported(reader: BboltReader): void {
  for (const bucket of ['authUsers', 'authRoles'])
    if (!reader.pairs(bucket).next().done)
      throw new Error('authentication is set up in this folder: not supported yet');
  if ([...reader.pairs('members')].length > 1)
    throw new Error('this folder belongs to a cluster of more than one member: not supported yet');
}

function metaPairs(store: Store, { memberId }: MemberIdentity, { index, term }: AppliedPlace): Pair[] {
  const pairs = [
    { key: text('confState'), value: text(`{"voters":[${memberId}],"auto_leave":false}`) },
    { key: text('consistent_index'), value: uint64(BigInt(index)) },
    { key: text('term'), value: uint64(BigInt(term)) },
  ];
  const revision = (value: number) => Buffer.concat([uint64(BigInt(value)), text('_'), uint64(0n)]);
  const { finishedCompactRevision: finished, compactRevision: scheduled } = store;
  if (finished >= 0) pairs.push({ key: text('finishedCompactRev'), value: revision(finished) });
  if (scheduled >= 0) pairs.push({ key: text('scheduledCompactRev'), value: revision(scheduled) });
  return pairs;
}

/** Ids are JSON numbers of 64 bits. */
function memberJson({ attributes }: Machine, { memberId, peerUrls, name, clientUrls }: MemberIdentity): Buffer {
  const known = attributes.get(memberId) ?? { name, clientUrls };
  const rest = JSON.stringify({ peerURLs: peerUrls, name: known.name, clientURLs: known.clientUrls });
  return text(`{"id":${memberId},${rest.slice(1)}`);
}

interface MemberJson {
  readonly name?: string;
  readonly clientURLs?: readonly string[];
}

function parseMember(bytes: Uint8Array): MemberJson {
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as MemberJson;
  } catch (error) {
    throw new BboltError('a member is not JSON', { cause: error });
  }
}

function mapOf(reader: BboltReader, bucket: string): Map<string, Buffer> {
  return new Map([...reader.pairs(bucket)].map(({ key, value }) => [Buffer.from(key).toString(), Buffer.from(value)]));
}

function sorted(pairs: readonly Pair[]): readonly Pair[] {
  return [...pairs].sort((a, b) => Buffer.compare(a.key, b.key));
}

const nothing = Buffer.alloc(0);

function text(value: string): Buffer {
  return Buffer.from(value);
}

function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

function uint64Of(bytes: Buffer | undefined): number {
  return bytes === undefined || bytes.length < 8 ? 0 : Number(bytes.readBigUInt64BE());
}

function revisionOf(bytes: Buffer | undefined): number {
  return bytes === undefined ? -1 : uint64Of(bytes);
}
