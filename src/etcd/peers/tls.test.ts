/** Members under TLS: each proves itself to the other, strangers are refused, and a whole change of authority needs no restart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Message, MessageType } from '#api-etcd/gen/raft.ts';
import { systemClock } from '#host/clock.ts';
import { type CertificateAuthority, createAuthority } from '#pki/certificate-authority.ts';
import { seededPrng } from '#std/prng.ts';
import { PeerClient } from './peer-client.ts';
import { connect, type RecordingMember, startRecordingMember } from './recording-member.suite.ts';

const idA = 10n;
const idB = 11n;

/** What a member needs, and trusts. */
async function identity(authority: CertificateAuthority, trusted = authority.certificate) {
  const pair = await authority.issue({
    commonName: 'member',
    ipAddresses: ['127.0.0.1'],
    usages: ['server', 'client'],
  });
  return {
    serverTls: { ...pair, clientCa: trusted, requireClientCertificate: true },
    clientTls: { ...pair, ca: trusted },
  };
}

const authorityOf = (commonName: string, seed: number) =>
  createAuthority({ commonName }, { clock: systemClock, prng: seededPrng(seed) });

const vote = (to: bigint, term: number) => Message.create({ type: MessageType.MsgVote, from: idA, to, term });

function reload(
  { network, listener }: RecordingMember,
  { serverTls, clientTls }: Awaited<ReturnType<typeof identity>>,
) {
  listener.reload(serverTls);
  network.reload(clientTls);
}

test('members with certificates of one authority talk; who has none, or another one, is refused', async () => {
  const authority = await authorityOf('peers', 1);
  const stranger = await identity(await authorityOf('others', 2), authority.certificate);
  await using a = await startRecordingMember({ id: idA, ...(await identity(authority)) });
  await using b = await startRecordingMember({ id: idB, ...(await identity(authority)) });
  await connect(a, b);
  a.network.send([vote(idB, 3)]);
  await b.until(() => b.received.length === 1);
  for (const tls of [{ ca: authority.certificate }, stranger.clientTls]) {
    await using client = new PeerClient({ clock: systemClock, tls });
    await assert.rejects(client.version([a.url]), /certificate|alert|socket|ECONNRESET/i);
  }
  await using known = new PeerClient({ clock: systemClock, tls: (await identity(authority)).clientTls });
  assert.equal((await known.version([a.url])).cluster, 'not_decided');
});

test('who has none of the allowed names is refused, names as well as addresses, and the member goes on', async () => {
  const authority = await authorityOf('peers', 5);
  const { serverTls, clientTls } = await identity(authority);
  const ask = async (...allowedHostnames: string[]) => {
    await using a = await startRecordingMember({ id: idA, serverTls: { ...serverTls, allowedHostnames }, clientTls });
    await using client = new PeerClient({ clock: systemClock, tls: clientTls });
    return [await client.version([a.url]).then(...outcome), await client.version([a.url]).then(...outcome)];
  };
  const outcome = [() => 'answered', () => 'refused'] as const;
  assert.deepEqual(await ask('member.example', '127.0.0.2'), ['refused', 'refused']);
  assert.deepEqual(await ask('member.example', '127.0.0.1'), ['answered', 'answered']);
});

test('the authority of a running cluster is replaced, a member at a time', async () => {
  const [before, after] = [await authorityOf('before', 3), await authorityOf('after', 4)];
  const both = before.certificate + after.certificate;
  await using a = await startRecordingMember({ id: idA, ...(await identity(before)) });
  await using b = await startRecordingMember({ id: idB, ...(await identity(before)) });
  await connect(a, b);
  for (const member of [a, b]) reload(member, await identity(before, both));
  for (const member of [a, b]) reload(member, await identity(after, both));
  for (const member of [a, b]) reload(member, await identity(after));
  // The streams that stood were not touched.
  a.network.send([vote(idB, 4)]);
  await b.until(() => b.received.length === 1);
  assert.deepEqual([a.unreachable, b.unreachable], [[], []]);
  // A member that comes back knows nothing of the old authority.
  const { port } = b.listener;
  await b[Symbol.asyncDispose]();
  await using again = await startRecordingMember({ id: idB, port, ...(await identity(after)) });
  again.network.addPeer(idA, [a.url]);
  await again.until(() => again.network.activeSinceMs(idA) !== undefined);
  a.network.send([vote(idB, 5)]);
  await again.until(() => again.received.length > 0);
  await using old = new PeerClient({ clock: systemClock, tls: (await identity(before, both)).clientTls });
  await assert.rejects(old.version([a.url]), /certificate|alert|socket|ECONNRESET/i);
});
