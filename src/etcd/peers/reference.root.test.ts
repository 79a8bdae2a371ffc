/**
 * The peer network against Debian's etcd: a cluster of two, one theirs, the other a test that speaks by our network. It votes, takes
 * entries and snapshots, leads, and asks and answers what members ask each other.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Entry, EntryType, Message, MessageType } from '#api-etcd/gen/raft.ts';
import { InternalRaftRequest } from '#api-etcd/gen/raft_internal.ts';
import { Lease } from '#api-etcd/gen/rpc.ts';
import { createEtcdClient, type EtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { type CertificateAuthority, createAuthority } from '#pki/certificate-authority.ts';
import type { Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { seededPrng } from '#std/prng.ts';
import { BboltReader } from '#storage/bbolt/read.ts';
import { type EtcdProcess, freePorts, startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { parseTarget } from '#transport/dial.ts';
import type { ClusterMember } from '../cluster/members.ts';
import { clusterIdOf, initialMembers } from '../identity.ts';
import { PeerClient } from './peer-client.ts';
import { peerError } from './peer-error.ts';
import type { PeerEvents, PeerSource } from './peer-network.ts';
import { type RecordingMember, startRecordingMember, streamsOf } from './recording-member.suite.ts';

const token = 'mixed';

interface Pair {
  readonly ours: RecordingMember;
  readonly theirs: ClusterMember;
  readonly members: readonly ClusterMember[];
  readonly clusterId: bigint;
  readonly theirUrl: string;
  /** Starts theirs, in a folder of that name. */
  start(
    dataDir: string,
    flags?: readonly string[],
  ): Promise<EtcdProcess & { readonly client: EtcdClient; readonly channel: Channel }>;
}

/** A cluster of two before either has started: `react` is called with what arrives. */
async function pair(
  stack: AsyncDisposableStack,
  react: (message: Message, pair: Pair) => void,
  source: Partial<PeerSource> = {},
  {
    receiveSnapshot,
    authority,
  }: { readonly receiveSnapshot?: PeerEvents['receiveSnapshot']; readonly authority?: CertificateAuthority } = {},
): Promise<Pair> {
  const [ourPort, theirPort] = await freePorts(2);
  const scheme = authority === undefined ? 'http' : 'https';
  const theirUrl = `${scheme}://127.0.0.1:${theirPort}`;
  const ourUrl = `${scheme}://127.0.0.1:${ourPort}`;
  const folder = mkdtempSync(join(tmpdir(), 'wherry-peers-'));
  stack.defer(() => rmSync(folder, { recursive: true }));
  const tls = authority && (await certificates(authority, folder));
  const members = initialMembers(
    [
      { name: 'ours', peerUrls: [ourUrl] },
      { name: 'theirs', peerUrls: [theirUrl] },
    ],
    token,
  );
  const clusterId = clusterIdOf(members.map(({ id }) => id));
  const theirs = members.find(({ name }) => name === 'theirs')!;
  const received: Message[] = [];
  let made: Pair | undefined;
  const ours = stack.use(
    await startRecordingMember({
      id: members.find(({ name }) => name === 'ours')!.id,
      clusterId,
      port: ourPort!,
      ...tls?.ours,
      events: {
        receive(message) {
          received.push(message);
          react(message, made!);
        },
        ...(receiveSnapshot && { receiveSnapshot }),
      },
      source: { members: () => members, clusterVersion: () => '3.5.0', ...source },
    }),
  );
  made = {
    ours: { ...ours, received },
    theirs,
    members,
    clusterId,
    theirUrl,
    async start(dataDir, flags = []) {
      const process = await startEtcdProcess({
        command: [referenceBinary('etcd-server', 'etcd')],
        dataDir: join(folder, dataDir),
        flags: [
          ...['--name', 'theirs', '--initial-cluster-token', token],
          ...['--listen-peer-urls', theirUrl, '--initial-advertise-peer-urls', theirUrl],
          ...['--initial-cluster', `ours=${ourUrl},theirs=${theirUrl}`],
          ...(tls?.flags ?? []),
          ...flags,
        ],
      });
      // A leader that is asked to stop would first look for a successor.
      stack.defer(() => process.stop('SIGKILL'));
      const channel = stack.use(connectRpc({ target: parseTarget(process.clientUrl), clock: systemClock }));
      return Object.assign(process, { channel, client: createEtcdClient(channel, systemClock) });
    },
  };
  return made;
}

/** A certificate for each member; theirs as files. */
async function certificates(authority: CertificateAuthority, folder: string) {
  const issue = () =>
    authority.issue({ commonName: 'member', ipAddresses: ['127.0.0.1'], usages: ['server', 'client'] });
  const [ours, theirs] = await Promise.all([issue(), issue()]);
  const ca = authority.certificate;
  const files = { ca, cert: theirs.certificate, key: theirs.key };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, `${name}.pem`), text);
  return {
    ours: {
      serverTls: { ...ours, clientCa: ca, requireClientCertificate: true },
      clientTls: { ...ours, ca },
    },
    flags: [
      ...['--peer-cert-file', join(folder, 'cert.pem'), '--peer-key-file', join(folder, 'key.pem')],
      ...['--peer-trusted-ca-file', join(folder, 'ca.pem'), '--peer-client-cert-auth'],
    ],
  };
}

/** A follower that votes for everybody and takes every entry. */
function follow(message: Message, { ours }: Pair): void {
  const { from, term, type } = message;
  const answer = (init: Partial<Message>) =>
    ours.network.send([Message.create({ from: ours.id, to: from, term, ...init })]);
  switch (type) {
    case MessageType.MsgPreVote:
      answer({ type: MessageType.MsgPreVoteResp });
      return;
    case MessageType.MsgVote:
      answer({ type: MessageType.MsgVoteResp });
      return;
    case MessageType.MsgApp:
      answer({ type: MessageType.MsgAppResp, index: message.entries.at(-1)?.index ?? message.index });
      return;
    case MessageType.MsgHeartbeat:
      answer({ type: MessageType.MsgHeartbeatResp, context: message.context });
      return;
  }
}

/** A leader whose log is what theirs proposes; what is sent is committed when it is acknowledged, and sent again until it is. */
class Leader {
  readonly #term: number;
  readonly #baseIndex: number;
  readonly #baseTerm: number;
  readonly #entries: Entry[] = [];
  /** Of the last entry that theirs has. */
  #match: number;

  /** @param position of the last entry that both have */
  constructor(position: { readonly term: number; readonly lastIndex: number; readonly lastTerm: number }) {
    this.#term = position.term;
    this.#baseIndex = position.lastIndex;
    this.#baseTerm = position.lastTerm;
    this.#match = position.lastIndex;
  }

  react(message: Message, pair: Pair): void {
    switch (message.type) {
      case MessageType.MsgVoteResp:
        if (this.#entries.length === 0 && !message.reject) this.elect(pair);
        return;
      case MessageType.MsgAppResp:
        if (message.reject || message.index <= this.#match) return;
        this.#match = message.index;
        this.#send(pair, { type: MessageType.MsgHeartbeat, commit: this.#match });
        return;
      case MessageType.MsgProp:
        for (const { data } of message.entries) this.#add(data);
        this.#replicate(pair);
        return;
      case MessageType.MsgReadIndex:
        this.#send(pair, { type: MessageType.MsgReadIndexResp, index: this.#match, entries: message.entries });
        return;
    }
  }

  /** Campaigns, or says that it leads. */
  beat(pair: Pair): void {
    if (this.#entries.length === 0) {
      this.#send(pair, { type: MessageType.MsgVote, index: this.#baseIndex, logTerm: this.#baseTerm });
      return;
    }
    this.#send(pair, { type: MessageType.MsgHeartbeat, commit: this.#match });
    this.#replicate(pair);
  }

  elect(pair: Pair): void {
    this.#add(undefined);
    this.#replicate(pair);
  }

  #add(data: Uint8Array | undefined): void {
    const index = this.#baseIndex + this.#entries.length + 1;
    this.#entries.push(Entry.create({ term: this.#term, index, ...(data && { data }) }));
  }

  #replicate(pair: Pair): void {
    const entries = this.#entries.slice(this.#match - this.#baseIndex);
    if (entries.length === 0) return;
    const logTerm = this.#match === this.#baseIndex ? this.#baseTerm : this.#term;
    this.#send(pair, { type: MessageType.MsgApp, index: this.#match, logTerm, entries, commit: this.#match });
  }

  #send({ ours, theirs }: Pair, init: Partial<Message>): void {
    ours.network.send([Message.create({ from: ours.id, to: theirs.id, term: this.#term, ...init })]);
  }
}

const ofType = ({ received }: RecordingMember, type: MessageType) => received.filter((each) => each.type === type);

function requestsIn(messages: readonly Message[]): InternalRaftRequest[] {
  const entries = new Map(messages.flatMap((message) => message.entries).map((entry) => [entry.index, entry]));
  return [...entries.values()]
    .filter(({ type, data }) => type === EntryType.EntryNormal && data !== undefined && data.length > 0)
    .flatMap(({ data }) => {
      try {
        return [InternalRaftRequest.decode(data!)];
      } catch {
        // A request of the v2 API, by which members of 3.5 announce themselves.
        return [];
      }
    });
}

test('their leader is voted for, and its entries and heartbeats arrive', async () => {
  await using stack = new AsyncDisposableStack();
  const both = await pair(stack, follow);
  const { ours, theirs, theirUrl } = both;
  ours.network.addPeer(theirs.id, [theirUrl]);
  const { client } = await both.start('data');
  for (let i = 0; i < 50; i++)
    await client.put({ key: utf8Encode(`k${i}`), value: Buffer.alloc(i === 25 ? 1 << 20 : 100, 'v') });
  await Promise.all(
    Array.from({ length: 500 }, (_, i) => client.put({ key: utf8Encode(`p${i}`), value: Buffer.alloc(300, 'p') })),
  );
  for (const type of [MessageType.MsgPreVote, MessageType.MsgVote, MessageType.MsgApp, MessageType.MsgHeartbeat])
    assert.ok(ofType(ours, type).length > 0, `none of type ${type}`);
  const puts = requestsIn(ofType(ours, MessageType.MsgApp)).filter(({ put }) => put !== undefined);
  assert.deepEqual(
    puts.slice(0, 50).map(({ put }) => utf8Decode(put!.key)),
    Array.from({ length: 50 }, (_, i) => `k${i}`),
  );
  assert.equal(puts[25]!.put!.value.length, 1 << 20);
  assert.equal(puts.length, 550);
  assert.equal(streamsOf(ours), 2);
  // Both asked for both streams, so nothing needed a post but what came before they were up.
  assert.ok(ours.network.activeSinceMs(theirs.id) !== undefined);
  assert.deepEqual(ours.refusals, []);
});

test('under TLS, each proves itself to the other', async () => {
  await using stack = new AsyncDisposableStack();
  const authority = await createAuthority({ commonName: 'peers' }, { clock: systemClock, prng: seededPrng(1) });
  const both = await pair(stack, follow, {}, { authority });
  const { ours, theirs, theirUrl } = both;
  ours.network.addPeer(theirs.id, [theirUrl]);
  const { client } = await both.start('data');
  await client.put({ key: utf8Encode('hello'), value: utf8Encode('world') });
  const puts = requestsIn(ofType(ours, MessageType.MsgApp)).filter(({ put }) => put !== undefined);
  assert.deepEqual(
    puts.map(({ put }) => utf8Decode(put!.key)),
    ['hello'],
  );
  assert.equal(streamsOf(ours), 2);
  await using stranger = new PeerClient({ clock: systemClock, tls: { ca: authority.certificate } });
  await assert.rejects(stranger.version([theirUrl]), /certificate|alert|socket|ECONNRESET/i);
});

test('their member answers what members ask: the cluster, versions, hashes, leases, promotion', async () => {
  await using stack = new AsyncDisposableStack();
  const both = await pair(stack, follow);
  const { ours, theirs, theirUrl, members, clusterId } = both;
  ours.network.addPeer(theirs.id, [theirUrl]);
  const { client, clientUrl } = await both.start('data');
  await using asking = new PeerClient({ clock: systemClock });
  const urls = ['http://127.0.0.1:1', theirUrl];
  await client.put({ key: utf8Encode('a'), value: utf8Encode('1') });
  const lease = await client.leaseGrant({ id: 77n, ttl: 60 });
  assert.equal(lease.id, 77n);
  await client.put({ key: utf8Encode('b'), value: utf8Encode('2'), lease: 77n });

  const cluster = await asking.members(urls);
  assert.equal(cluster.clusterId, clusterId);
  assert.deepEqual(
    [...cluster.members].sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ id, name, peerUrls }) => [id, name, peerUrls]),
    members.map(({ id, name, peerUrls }) => [id, name, peerUrls]),
  );
  assert.deepEqual(cluster.members.find(({ id }) => id === theirs.id)!.clientUrls, [clientUrl]);
  const versions = await asking.version(urls);
  assert.match(versions.server, /^3\.5\./);
  assert.equal(versions.cluster, '3.5.0');
  assert.equal(await asking.downgradeEnabled(urls), false);

  const hash = await asking.hashKv(urls, clusterId, 0);
  assert.equal(hash.revision, 3);
  assert.notEqual(hash.hash, 0);
  await assert.rejects(asking.hashKv(urls, clusterId, 100), peerError('futureRevision'));
  await assert.rejects(asking.hashKv(urls, 5n, 0), peerError('clusterIdMismatch'));

  assert.equal(await asking.renewLease(urls, 77n), 60);
  const living = await asking.leaseTimeToLive(urls, 77n, true);
  assert.deepEqual([living.grantedTTL, living.keys.map(utf8Decode)], [60, ['b']]);
  await assert.rejects(asking.renewLease(urls, 5n), peerError('leaseNotFound'));
  await assert.rejects(asking.leaseTimeToLive(urls, 5n, false), peerError('leaseNotFound'));
  await assert.rejects(asking.promote(urls, 5n), peerError('memberNotFound'));
  await assert.rejects(asking.promote(urls, ours.id), peerError('memberNotLearner'));
});

test('their leader sends a snapshot to who has lost everything, and their new member takes it from us', async () => {
  await using stack = new AsyncDisposableStack();
  const database: Buffer[] = [];
  let snapshot: Message | undefined;
  let lost = false;
  let leader: Leader | undefined;
  const react = (message: Message, made: Pair) => {
    if (leader !== undefined) return leader.react(message, made);
    if (message.type !== MessageType.MsgApp || !lost || snapshot !== undefined) return follow(message, made);
    const { from, to, term, index } = message;
    // Nothing is here: only a snapshot helps.
    const reject = { reject: true, index, rejectHint: 0, logTerm: 0 };
    made.ours.network.send([Message.create({ type: MessageType.MsgAppResp, from: to, to: from, term, ...reject })]);
  };
  const receiveSnapshot: PeerEvents['receiveSnapshot'] = async (message, pages, bytes) => {
    // Upstream does not say how long it is.
    assert.equal(bytes, undefined);
    for await (const chunk of pages) database.push(Buffer.from(chunk));
    snapshot = message;
  };
  const both = await pair(stack, react, {}, { receiveSnapshot });
  const { ours, theirs, theirUrl } = both;
  ours.network.addPeer(theirs.id, [theirUrl]);
  const flags = ['--snapshot-count', '5', '--experimental-snapshot-catchup-entries', '1'];
  const process = await both.start('data', flags);
  for (let i = 0; i < 40; i++) await process.client.put({ key: utf8Encode(`k${i}`), value: Buffer.alloc(5000, i) });
  // A leader believes what it was told, until it leads anew.
  await process.stop('SIGKILL');
  lost = true;
  const restarted = await both.start('data', flags);
  await ours.until(() => snapshot !== undefined);
  await restarted.stop('SIGKILL');
  const file = Buffer.concat(database);
  const keys = [...new BboltReader(file).pairs('key')];
  // What a killed leader did not know to be committed, it cannot commit again without us.
  assert.ok(keys.length > 30, `${keys.length} keys`);

  // A new member of theirs in the same place, with an empty folder: we lead, and give it all in one snapshot.
  const { index: lastIndex, term: lastTerm } = snapshot!.snapshot!.metadata;
  const term = 20;
  leader = new Leader({ term, lastIndex, lastTerm });
  let disposed = false;
  const streams = streamsOf(ours);
  const sending = ours
    .until(() => streamsOf(ours) >= streams + 2)
    .then(() =>
      ours.network.sendSnapshot(Message.create({ ...snapshot!, from: ours.id, to: theirs.id, term }), {
        bytes: file.length,
        async *pages() {
          for (let at = 0; at < file.length; at += 64 << 10) yield file.subarray(at, at + (64 << 10));
        },
        async [Symbol.asyncDispose]() {
          disposed = true;
        },
      }),
    )
    .then(() => ours.until(() => ours.snapshots.length === 1 && disposed));
  const starting = both.start('empty');
  await sending;
  assert.deepEqual(ours.snapshots, [{ id: theirs.id, ok: true }]);
  leader.elect(both);
  stack.use(every(100, () => leader!.beat(both)));
  const { client } = await starting;
  const { kvs } = await client.range({ key: utf8Encode('k0'), rangeEnd: utf8Encode('l') });
  assert.equal(kvs.length, keys.length);
  assert.equal(kvs[0]!.value.length, 5000);
});

/** Calls back now and then until it is disposed. */
function every(periodMs: number, callback: () => void): Disposable {
  let timer = systemClock.after(0, function again() {
    callback();
    timer = systemClock.after(periodMs, again);
  });
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

test('our leader is voted for, its entries are applied by theirs, which forwards proposals and leases to it', async () => {
  await using stack = new AsyncDisposableStack();
  const renewed: bigint[] = [];
  // A new cluster begins with an entry a member.
  const leader = new Leader({ term: 7, lastIndex: 2, lastTerm: 1 });
  const both = await pair(stack, (message, made) => leader.react(message, made), {
    async renewLease(id) {
      renewed.push(id);
      return 42;
    },
    async leaseTimeToLive(id) {
      return { header: undefined, id, ttl: 41, grantedTTL: 42, keys: [utf8Encode('k')] };
    },
  });
  const { ours, theirs, theirUrl } = both;
  ours.network.addPeer(theirs.id, [theirUrl]);
  stack.use(every(100, () => leader.beat(both)));
  const { client, channel } = await both.start('data');
  await client.put({ key: utf8Encode('hello'), value: utf8Encode('world') });
  const { kvs } = await client.range({ key: utf8Encode('hello') });
  assert.deepEqual(
    kvs.map(({ value }) => utf8Decode(value)),
    ['world'],
  );
  await client.leaseGrant({ id: 9n, ttl: 100 });
  const living = await channel.unary(Lease.methods.leaseTimeToLive, { id: 9n, keys: true });
  assert.deepEqual([living.ttl, living.grantedTTL, living.keys.map(utf8Decode)], [41, 42, ['k']]);
  assert.equal((await client.leaseKeepAlive(9n)).ttl, 42);
  assert.deepEqual(renewed, [9n]);
});
