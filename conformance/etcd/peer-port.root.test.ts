/** The peer port of our member beside Debian's: the same requests, good and bad, get the same status, headers and text. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { LeaseInternalRequest } from '#api-etcd/gen/lease.ts';
import { Message, MessageType } from '#api-etcd/gen/raft.ts';
import { Cluster, LeaseKeepAliveRequest, LeaseTimeToLiveRequest } from '#api-etcd/gen/rpc.ts';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { utf8Encode } from '#std/bytes.ts';
import { EtcdCluster, type Kind } from '#testkit/etcd-cluster.ts';

interface Ids {
  readonly cluster: string;
  readonly member: string;
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

const raft = ({ cluster }: Ids) => ({
  'x-server-from': '5',
  'x-server-version': '3.5.16',
  'x-min-cluster-version': '3.0.0',
  'x-etcd-cluster-id': cluster,
});

function framed(message: Message, length?: bigint): Buffer {
  const bytes = Message.encode(message);
  const head = Buffer.alloc(8);
  head.writeBigUInt64BE(length ?? BigInt(bytes.length));
  return Buffer.concat([head, bytes]);
}

const json = (text: string) => ({ headers: { 'content-type': 'application/json' }, body: utf8Encode(text) });
const idOf = ({ member }: Ids) => BigInt(`0x${member}`);

/** Named by situation. */
const asked: Readonly<Record<string, (ids: Ids) => Asked>> = {
  'no such path': () => ({ method: 'GET', path: '/nothing' }),
  'no such path of raft': () => ({ method: 'GET', path: '/raft/nothing' }),
  'a message by GET': () => ({ method: 'GET', path: '/raft' }),
  'a message without a word who sends it': () => ({ method: 'POST', path: '/raft' }),
  'a message of another cluster': (ids) => ({
    method: 'POST',
    path: '/raft',
    headers: { ...raft(ids), 'x-etcd-cluster-id': '5' },
  }),
  'a message of etcd 2': (ids) => ({
    method: 'POST',
    path: '/raft',
    headers: { ...raft(ids), 'x-server-version': '2.3.0' },
  }),
  'a message of an etcd that needs a newer cluster': (ids) => ({
    method: 'POST',
    path: '/raft',
    headers: { ...raft(ids), 'x-min-cluster-version': '3.9.0' },
  }),
  'a message that is none': (ids) => ({ method: 'POST', path: '/raft', headers: raft(ids), body: Buffer.from([7, 7]) }),
  'a message to somebody else': (ids) => ({
    method: 'POST',
    path: '/raft',
    headers: raft(ids),
    body: Message.encode(Message.create({ type: MessageType.MsgHeartbeatResp, from: 5n, to: 6n })),
  }),
  'a message to this member': (ids) => ({
    method: 'POST',
    path: '/raft',
    headers: raft(ids),
    body: Message.encode(Message.create({ type: MessageType.MsgHeartbeatResp, from: 5n, to: idOf(ids) })),
  }),
  'a stream by POST': (ids) => ({ method: 'POST', path: '/raft/stream/message/5', headers: raft(ids) }),
  'a stream of another cluster': (ids) => ({
    method: 'GET',
    path: '/raft/stream/message/5',
    headers: { ...raft(ids), 'x-etcd-cluster-id': '5' },
  }),
  'a stream of no known kind': (ids) => ({ method: 'GET', path: '/raft/stream/other/5', headers: raft(ids) }),
  'a stream for nobody': (ids) => ({ method: 'GET', path: '/raft/stream/message/x', headers: raft(ids) }),
  'a stream for a stranger': (ids) => ({ method: 'GET', path: '/raft/stream/msgapp/5', headers: raft(ids) }),
  'a snapshot by GET': (ids) => ({ method: 'GET', path: '/raft/snapshot', headers: raft(ids) }),
  'a snapshot of another cluster': () => ({ method: 'POST', path: '/raft/snapshot' }),
  'a snapshot without a message': (ids) => ({ method: 'POST', path: '/raft/snapshot', headers: raft(ids) }),
  'a snapshot with half a message': (ids) => ({
    method: 'POST',
    path: '/raft/snapshot',
    headers: raft(ids),
    body: framed(Message.create(), 1000n),
  }),
  'a snapshot with a message of absurd length': (ids) => ({
    method: 'POST',
    path: '/raft/snapshot',
    headers: raft(ids),
    body: framed(Message.create(), 1n << 50n),
  }),
  'a snapshot whose message is another one': (ids) => ({
    method: 'POST',
    path: '/raft/snapshot',
    headers: raft(ids),
    body: framed(Message.create({ type: MessageType.MsgApp })),
  }),
  'a probe': () => ({ method: 'GET', path: '/raft/probing' }),
  members: () => ({ method: 'GET', path: '/members' }),
  'members by POST': () => ({ method: 'POST', path: '/members' }),
  'members below': () => ({ method: 'GET', path: '/members/x' }),
  'a promotion by GET': () => ({ method: 'GET', path: '/members/promote/5' }),
  'a promotion of no number': () => ({ method: 'POST', path: '/members/promote/x' }),
  'a promotion of a stranger': () => ({ method: 'POST', path: '/members/promote/5' }),
  'a promotion of a voter': (ids) => ({ method: 'POST', path: `/members/promote/${idOf(ids)}` }),
  'the hash now': () => ({ method: 'GET', path: '/members/hashkv', ...json('{}') }),
  'the hash at a revision': () => ({ method: 'GET', path: '/members/hashkv', ...json('{"revision":2}') }),
  'the hash of a revision to come': () => ({ method: 'GET', path: '/members/hashkv', ...json('{"revision":100}') }),
  'the hash of a revision that is compacted': () => ({
    method: 'GET',
    path: '/members/hashkv',
    ...json('{"revision":1}'),
  }),
  'the hash without a question': () => ({ method: 'GET', path: '/members/hashkv' }),
  'the hash of a word': () => ({ method: 'GET', path: '/members/hashkv', ...json('{"revision":"x"}') }),
  'the hash by POST': () => ({ method: 'POST', path: '/members/hashkv', ...json('{}') }),
  'the hash of another cluster': () => ({
    method: 'GET',
    path: '/members/hashkv',
    headers: { 'x-etcd-cluster-id': '5' },
    body: utf8Encode('{}'),
  }),
  'a lease by GET': () => ({ method: 'GET', path: '/leases' }),
  'a lease that is none': () => ({ method: 'POST', path: '/leases', body: Buffer.from([7, 7]) }),
  'a lease that is there': () => ({
    method: 'POST',
    path: '/leases',
    body: LeaseKeepAliveRequest.encode(LeaseKeepAliveRequest.create({ id: 7n })),
  }),
  'a lease that is not there': () => ({
    method: 'POST',
    path: '/leases',
    body: LeaseKeepAliveRequest.encode(LeaseKeepAliveRequest.create({ id: 8n })),
  }),
  'the time of a lease that is not there': () => ({
    method: 'POST',
    path: '/leases/internal',
    body: LeaseInternalRequest.encode({ leaseTimeToLiveRequest: LeaseTimeToLiveRequest.create({ id: 8n }) }),
  }),
  'leases below': () => ({ method: 'POST', path: '/leases/x' }),
  'the version by POST': () => ({ method: 'POST', path: '/version' }),
  'whether it is being downgraded': () => ({ method: 'GET', path: '/downgrade/enabled' }),
  'whether it is being downgraded, by POST': () => ({ method: 'POST', path: '/downgrade/enabled' }),
};

/** Where ours says something else, and why. */
const differences: Readonly<Record<string, { readonly why: string; readonly ours: RegExp }>> = {
  'a message to somebody else': {
    why: 'upstream cuts the connection in the middle of the same answer',
    ours: /^500\n[\s\S]*\nerror processing raft message\n$/,
  },
  'the hash now': { why: 'as from 3.6 on, it says which revision was hashed', ours: /"hash_revision":3\}/ },
  'the hash at a revision': {
    why: 'the same, of one that was remembered from the compaction at that revision',
    ours: /"hash":2587454935,"compact_revision":-1,"hash_revision":2\}/,
  },
};

/** Headers that tell the other side something. */
const compared = ['content-type', 'allow', 'x-content-type-options', 'x-etcd-cluster-id', 'x-server-version'];

function ask(url: string, { method, path, headers = {}, body = new Uint8Array(0) }: Asked): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}${path}`, { method, headers: { ...headers, 'content-length': body.length } });
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const told = compared.map((name) => `${name}: ${response.headers[name] ?? ''}\n`).join('');
        resolve(`${response.statusCode}\n${told}\n${Buffer.concat(chunks)}`);
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function answers(kind: Kind): Promise<Readonly<Record<string, string>>> {
  await using cluster = await EtcdCluster.start([kind]);
  const [member] = cluster.members;
  await using channel = cluster.channel(member!);
  const client = createEtcdClient(channel, systemClock);
  await client.put({ key: utf8Encode('a'), value: utf8Encode('1') });
  await client.put({ key: utf8Encode('a'), value: utf8Encode('2') });
  await client.leaseGrant({ id: 7n, ttl: 600 });
  await client.compact({ revision: 2, physical: true });
  const { header } = await channel.unary(Cluster.methods.memberList, { linearizable: true });
  const ids = { cluster: header!.clusterId.toString(16), member: header!.memberId.toString(16) };
  const told: Record<string, string> = {};
  for (const [situation, of] of Object.entries(asked))
    told[situation] = (await ask(member!.peerUrl, of(ids)).catch((error: Error) => `no answer: ${error.message}`))
      .replaceAll(ids.cluster, 'CLUSTER')
      .replaceAll(ids.member, 'MEMBER')
      .replaceAll(String(idOf(ids)), 'MEMBER')
      .replaceAll(member!.peerUrl, 'PEER-URL')
      .replaceAll(member!.clientUrl, 'CLIENT-URL')
      .replaceAll(/"Now":"[^"]*"/g, '"Now":"NOW"')
      .replaceAll(/x-server-version: 3\.5\.\d+/g, 'x-server-version: 3.5.PATCH');
  return told;
}

test('the peer port answers as the reference does', async () => {
  const [theirs, ours] = [await answers('reference'), await answers('ours')];
  for (const situation of Object.keys(asked)) {
    const different = differences[situation];
    if (different === undefined) assert.equal(ours[situation], theirs[situation], situation);
    else {
      assert.notEqual(ours[situation], theirs[situation], `${situation}: no difference any more`);
      assert.match(ours[situation]!, different.ours, situation);
    }
  }
});
