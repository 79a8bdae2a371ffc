/**
 * A member's state as upstream's backend file: which buckets there are and what their pairs mean. Writing lays out a complete file of
 * a pinned state; reading gives a machine back. (upstream: server/storage/schema)
 */
import { Role, User } from '#api-etcd/gen/auth.ts';
import { Lease } from '#api-etcd/gen/lease.ts';
import { ConfState } from '#api-etcd/gen/raft.ts';
import { AlarmMember } from '#api-etcd/gen/rpc.ts';
import { JsonError, objectOf, parseJson } from '#kube-machinery/strict-json.ts';
import { Store } from '#mvcc/store.ts';
import { BboltError } from '#storage/bbolt/format.ts';
import type { PagedBbolt } from '#storage/bbolt/read-paged.ts';
import { type BboltFile, type BucketSource, layOutInSlices, type Pair } from '#storage/bbolt/write.ts';
import { AuthStore } from '../auth/store.ts';
import { memberJson, parseMember } from '../cluster/member-json.ts';
import { type ClusterMember, Members } from '../cluster/members.ts';
import { Leases } from '../lease/leases.ts';
import { Machine } from '../machine.ts';
import { type DowngradeInfo, noDowngrade } from '../maintenance/downgrade-info.ts';
import { recordKey } from '../maintenance/revision-hash.ts';
import type { LogPlace } from '../replica/log.ts';
import { confStateJson, parseConfState } from './conf-state-json.ts';

/** Of the file, handled in one turn of the event loop. */
export const sliceBytes = 256 << 10;
/** The key of a version: main revision, an underscore, sub; a tombstone's has a `t` after it. */
const revisionBytes = 17;

/** @param machine nobody changes it while the file is laid out and written: a fork */
export function backendFile(machine: Machine, applied: LogPlace): Promise<BboltFile> {
  return layOutInSlices(backendBuckets(machine, applied));
}

/** In order of names. */
export function backendBuckets(machine: Machine, applied: LogPlace): readonly BucketSource[] {
  const { store, leases, alarms, members } = machine;
  const bucket = (name: string, pairs: readonly Pair[] = []): BucketSource => ({ name, pairs: () => sorted(pairs) });
  return [
    bucket(
      'alarm',
      alarms.map((alarm) => ({ key: AlarmMember.encode(alarm), value: nothing })),
    ),
    bucket('auth', authPairs(machine.auth)),
    bucket(
      'authRoles',
      machine.auth.roles.map((role) => ({ key: Buffer.from(role.name), value: Role.encode(role) })),
    ),
    bucket(
      'authUsers',
      machine.auth.users.map((user) => ({ key: Buffer.from(user.name), value: User.encode(user) })),
    ),
    bucket('cluster', clusterPairs(machine)),
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
    bucket(
      'members',
      members.all().map((member) => ({ key: text(member.id.toString(16)), value: memberJson(member) })),
    ),
    bucket(
      'members_removed',
      members.removedIds.map((id) => ({ key: text(id.toString(16)), value: text('removed') })),
    ),
    bucket('meta', metaPairs(machine, applied)),
  ];
}

function clusterPairs({ clusterVersion, downgrade: { enabled, targetVersion } }: Machine): Pair[] {
  const pairs: Pair[] = [];
  if (clusterVersion !== '') pairs.push({ key: text('clusterVersion'), value: text(clusterVersion) });
  if (enabled)
    pairs.push({ key: text('downgrade'), value: text(JSON.stringify({ 'target-version': targetVersion, enabled })) });
  return pairs;
}

function readDowngrade(json: Buffer | undefined): DowngradeInfo {
  if (json === undefined) return noDowngrade;
  try {
    const fields = objectOf(parseJson(json.toString()).value);
    const targetVersion = fields?.['target-version'];
    return fields?.['enabled'] === true && typeof targetVersion === 'string'
      ? { enabled: true, targetVersion }
      : noDowngrade;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new BboltError('the downgrade is not JSON', { cause: error });
  }
}

/** @throws BboltError, ProtobufError for a damaged file */
export async function readBackend(
  reader: PagedBbolt,
): Promise<{ readonly machine: Machine; readonly applied: LogPlace }> {
  const meta = await mapOf(reader, 'meta');
  const store = new Store();
  const leases = new Leases();
  await reader.each('lease', (page, _, from, to) => {
    const { id, ttl } = Lease.decode(page.subarray(from, to));
    leases.grant(id, ttl);
  });
  let anyAttached = false;
  await reader.each('key', (page, keyStart, from, to) => {
    const keyBytes = from - keyStart;
    if (keyBytes < revisionBytes) throw new BboltError('a revision is cut');
    const main = uint64At(page, keyStart);
    const isTombstone = keyBytes === revisionBytes + 1;
    const { key, lease } = store.restore(main, uint64At(page, keyStart + 9), isTombstone, page.subarray(from, to));
    // What the newest version of a key says holds.
    anyAttached ||= lease !== 0n;
    if (anyAttached) leases.attach(key, lease);
  });
  // A compaction that was under way goes on.
  store.restored(revisionOf(meta.get('finishedCompactRev')), revisionOf(meta.get('scheduledCompactRev')));
  const alarms = (await reader.pairs('alarm')).map(({ key }) => AlarmMember.decode(key));
  const cluster = await mapOf(reader, 'cluster');
  const clusterVersion = cluster.get('clusterVersion')?.toString() ?? '';
  const members: ClusterMember[] = [];
  for (const { key, value } of await reader.pairs('members')) members.push({ id: idOf(key), ...parseMember(value) });
  const removed = (await reader.pairs('members_removed')).map(({ key }) => idOf(key));
  const confState = meta.get('confState');
  return {
    machine: new Machine({
      store,
      leases,
      alarms,
      auth: await readAuth(reader),
      members: new Members(members, removed),
      // Before 3.5 the backend did not say: whoever is a member and no learner votes.
      confState: confState === undefined ? confStateOf(members) : parseConfState(confState),
      clusterVersion,
      downgrade: readDowngrade(cluster.get('downgrade')),
    }),
    applied: { index: uint64Of(meta.get('consistent_index')), term: uint64Of(meta.get('term')) },
  };
}

/** Everybody who is no learner votes. */
export function confStateOf(members: readonly ClusterMember[]): ConfState {
  const ids = (isLearner: boolean) => members.filter((member) => member.isLearner === isLearner).map(({ id }) => id);
  return ConfState.create({ voters: ids(false), learners: ids(true), autoLeave: false });
}

function authPairs({ enabled, revision }: AuthStore): Pair[] {
  return [
    { key: text('authEnabled'), value: Buffer.of(enabled ? 1 : 0) },
    { key: text('authRevision'), value: uint64(BigInt(revision)) },
  ];
}

async function readAuth(reader: PagedBbolt): Promise<AuthStore> {
  const pairs = await mapOf(reader, 'auth');
  // The file's memory is somebody else's: names, hashes and keys are kept.
  const copies = async <T>(bucket: string, decode: (bytes: Uint8Array) => T) =>
    (await reader.pairs(bucket)).map(({ value }) => decode(Buffer.from(value)));
  return new AuthStore({
    enabled: pairs.get('authEnabled')?.[0] === 1,
    revision: uint64Of(pairs.get('authRevision')) || 1,
    users: await copies('authUsers', User.decode),
    roles: await copies('authRoles', Role.decode),
  });
}

function metaPairs({ store, confState }: Machine, { index, term }: LogPlace): Pair[] {
  const pairs = [
    { key: text('confState'), value: confStateJson(confState) },
    { key: text('consistent_index'), value: uint64(BigInt(index)) },
    { key: text('term'), value: uint64(BigInt(term)) },
  ];
  const revision = (value: number) => Buffer.concat([uint64(BigInt(value)), text('_'), uint64(0n)]);
  const { finishedCompactRevision: finished, compactRevision: scheduled } = store;
  if (finished >= 0) pairs.push({ key: text('finishedCompactRev'), value: revision(finished) });
  if (scheduled >= 0) pairs.push({ key: text('scheduledCompactRev'), value: revision(scheduled) });
  return pairs;
}

/** Keys of members are their ids in hexadecimal digits. @throws BboltError */
function idOf(key: Uint8Array): bigint {
  const digits = Buffer.from(key).toString();
  if (!/^[0-9a-f]{1,16}$/.test(digits)) throw new BboltError(`not the id of a member: ${JSON.stringify(digits)}`);
  return BigInt(`0x${digits}`);
}

async function mapOf(reader: PagedBbolt, bucket: string): Promise<Map<string, Buffer>> {
  return new Map(
    (await reader.pairs(bucket)).map(({ key, value }) => [Buffer.from(key).toString(), Buffer.from(value)]),
  );
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

function uint64At(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}

function uint64Of(bytes: Buffer | undefined): number {
  return bytes === undefined || bytes.length < 8 ? 0 : Number(bytes.readBigUInt64BE());
}

function revisionOf(bytes: Buffer | undefined): number {
  return bytes === undefined ? -1 : uint64Of(bytes);
}
