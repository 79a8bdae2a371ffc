/** What members ask each other, between our own client and our own peer port: answers, refusals, and requests that are nonsense. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '#host/clock.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { createFetch } from '#transport/fetch.ts';
import type { ClusterMember } from '../cluster/members.ts';
import { PeerClient } from './peer-client.ts';
import { peerError } from './peer-error.ts';
import { ask } from './peer-link.ts';
import type { PeerSource } from './peer-network.ts';
import { clusterId, startRecordingMember } from './recording-member.suite.ts';

const widest = 2n ** 64n - 1n;

const members: readonly ClusterMember[] = [
  { id: widest, name: 'a"\\', peerUrls: ['http://a:2380'], clientUrls: ['http://a:2379'], isLearner: false },
  { id: 7n, name: '', peerUrls: ['http://b:2380', 'http://c:2380'], clientUrls: [], isLearner: true },
];

function source(overrides: Partial<PeerSource> = {}): Partial<PeerSource> {
  return {
    members: () => members,
    clusterVersion: () => '3.5.0',
    storageVersion: () => '3.6.0',
    hashKv: (revision) => ({ hash: 0xffff_ffff, hashRevision: revision, compactRevision: 3, revision: 9 }),
    async promote(id, token) {
      assert.equal(token, 'secret');
      if (id === widest) return members;
      throw peerError(id === 7n ? 'learnerNotReady' : 'memberNotFound');
    },
    renewLease: async (id) => (id === -5n ? 60 : Promise.reject(peerError('leaseNotFound'))),
    leaseTimeToLive: async (id, keys) => ({
      header: undefined,
      id,
      ttl: 1,
      grantedTTL: 60,
      keys: keys ? [utf8Encode('k')] : [],
    }),
    downgradeEnabled: async () => true,
    ...overrides,
  };
}

test('everything a member may ask is answered; addresses that do not work are passed over', async () => {
  await using member = await startRecordingMember({ id: 1n, source: source() });
  await using client = new PeerClient({ clock: systemClock });
  const urls = ['http://127.0.0.1:1', member.url];
  assert.deepEqual(await client.members(urls), { clusterId, members });
  const version = await client.version(urls);
  assert.deepEqual([version.cluster, version.storage], ['3.5.0', '3.6.0']);
  assert.equal(await client.downgradeEnabled(urls), true);
  assert.deepEqual(await client.hashKv(urls, clusterId, 8), {
    hash: 0xffff_ffff,
    hashRevision: 8,
    compactRevision: 3,
    revision: 9,
  });
  assert.deepEqual(await client.promote(urls, widest, 'secret'), members);
  assert.equal(await client.renewLease(urls, -5n), 60);
  const living = await client.leaseTimeToLive(urls, 4n, true);
  assert.deepEqual([living.ttl, living.grantedTTL, living.keys.map(utf8Decode)], [1, 60, ['k']]);
});

test('refusals come back as what they were', async () => {
  await using member = await startRecordingMember({
    id: 1n,
    source: source({
      hashKv: (revision) => {
        throw peerError(revision > 5 ? 'futureRevision' : 'compacted');
      },
      leaseTimeToLive: () => Promise.reject(peerError('leaseTimeout')),
      downgradeEnabled: () => Promise.reject(new Error('etcdserver: request timed out')),
      members: () => [],
    }),
  });
  await using client = new PeerClient({ clock: systemClock });
  const urls = [member.url];
  await assert.rejects(client.hashKv(urls, clusterId, 9), peerError('futureRevision'));
  await assert.rejects(client.hashKv(urls, clusterId, 2), peerError('compacted'));
  await assert.rejects(client.hashKv(urls, 5n, 2), peerError('clusterIdMismatch'));
  await assert.rejects(client.promote(urls, 7n, 'secret'), peerError('learnerNotReady'));
  await assert.rejects(client.promote(urls, 8n, 'secret'), peerError('memberNotFound'));
  await assert.rejects(client.renewLease(urls, 4n), peerError('leaseNotFound'));
  await assert.rejects(client.leaseTimeToLive(urls, 4n, false), peerError('leaseTimeout'));
  await assert.rejects(
    client.downgradeEnabled(urls),
    /^PeerError: failed linearized read: etcdserver: request timed out$/,
  );
  await assert.rejects(client.members(urls), /failed to get raft cluster member\(s\) from the given URLs/);
  await assert.rejects(
    client.members(['http://127.0.0.1:1']),
    /could not retrieve cluster information from the given URLs/,
  );
});

test('requests that are nonsense are refused, and the member goes on', async () => {
  await using member = await startRecordingMember({ id: 1n, source: source() });
  await using fetch = createFetch({ address: member.url });
  const paths = ['/raft', '/raft/snapshot', '/leases', '/leases/internal', '/members/hashkv', '/members/promote/1'];
  const raft = [
    ['x-server-version', '3.5.0'],
    ['x-min-cluster-version', '3.0.0'],
    ['x-etcd-cluster-id', clusterId.toString(16)],
  ] as const;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...paths),
      fc.constantFrom('GET' as const, 'POST' as const),
      fc.uint8Array({ maxLength: 40 }),
      fc.string({ maxLength: 20, unit: 'grapheme-ascii' }),
      async (path, method, body, word) => {
        const headers = [...raft, ['x-server-from', word], ['x-peerurls', word]] as const;
        const signal = new AbortController().signal;
        const { status, body: answer } = await ask(fetch, { method, path, headers, body, signal });
        await Array.fromAsync(answer as AsyncIterable<Uint8Array>);
        assert.ok(status >= 200 && status < 600);
      },
    ),
    { numRuns: 300 },
  );
  await using client = new PeerClient({ clock: systemClock });
  assert.equal((await client.version([member.url])).cluster, '3.5.0');
});
