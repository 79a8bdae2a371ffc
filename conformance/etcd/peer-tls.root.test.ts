/** Clusters of processes whose members prove themselves to each other: ours and mixed, with certificates and an authority that are renewed meanwhile. */
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PeerClient } from '#etcd/peers/peer-client.ts';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { type CertificateAuthority, createAuthority } from '#pki/certificate-authority.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { seededPrng } from '#std/prng.ts';
import { EtcdCluster, type Kind } from '#testkit/etcd-cluster.ts';

const timeout = 180_000;

/** The files that all members share. */
class PeerFiles implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'peer-tls-'));

  get flags(): readonly string[] {
    const path = (name: string) => join(this.#folder, name);
    return [
      ...['--peer-cert-file', path('cert.pem'), '--peer-key-file', path('key.pem')],
      ...['--peer-trusted-ca-file', path('ca.pem'), '--peer-client-cert-auth'],
    ];
  }

  /** A new certificate of `issuer`; both authorities are trusted when there are two. */
  async renew(issuer: CertificateAuthority, ...trusted: readonly CertificateAuthority[]): Promise<void> {
    const pair = await issuer.issue({ commonName: 'm', ipAddresses: ['127.0.0.1'], usages: ['server', 'client'] });
    const texts = {
      'ca.pem': trusted.map(({ certificate }) => certificate).join(''),
      'cert.pem': pair.certificate,
      'key.pem': pair.key,
    };
    for (const [name, text] of Object.entries(texts)) {
      writeFileSync(join(this.#folder, `${name}.new`), text);
      renameSync(join(this.#folder, `${name}.new`), join(this.#folder, name));
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}

const authorityOf = (commonName: string, seed: number) =>
  createAuthority({ commonName }, { clock: systemClock, prng: seededPrng(seed) });

for (const kinds of [
  ['ours', 'ours', 'ours'],
  ['ours', 'reference', 'ours'],
] as const satisfies readonly (readonly Kind[])[])
  test(`members under TLS, and a new authority without a restart of ours: ${kinds.join(', ')}`, {
    timeout,
  }, async () => {
    const [before, after] = [await authorityOf('before', 1), await authorityOf('after', 2)];
    using files = new PeerFiles();
    await files.renew(before, before);
    await using cluster = await EtcdCluster.start(kinds, files.flags);
    const say = async (word: string) => {
      for (const member of cluster.members) {
        await using channel = cluster.channel(member);
        const client = createEtcdClient(channel, systemClock);
        await client.put({ key: utf8Encode(member.name), value: utf8Encode(word) });
        const { kvs } = await client.range({ key: utf8Encode(member.name) });
        assert.equal(utf8Decode(kvs[0]!.value), word);
      }
    };
    await say('one');
    await using stranger = new PeerClient({ clock: systemClock, tls: { ca: before.certificate } });
    for (const { peerUrl } of cluster.members)
      await assert.rejects(stranger.version([peerUrl]), /certificate|alert|socket|ECONNRESET/i);
    // Both are trusted, then the new one issues. The reference reads its authorities when it starts.
    await files.renew(before, before, after);
    for (const member of cluster.members) await restartReference(cluster, member);
    await files.renew(after, before, after);
    for (const member of cluster.members) await restartReference(cluster, member);
    // Who is started again meets the others with the new certificate, and they it.
    const [last] = cluster.members.slice(-1);
    await cluster.stop(last!, 'SIGKILL');
    cluster.run(last!, 'new');
    await cluster.serving(last!);
    await say('two');
    for (const { log } of cluster.members) assert.doesNotMatch(log, /panic/);
  });

async function restartReference(cluster: EtcdCluster, member: EtcdCluster['members'][number]): Promise<void> {
  if (member.kind !== 'reference') return;
  await cluster.stop(member, 'SIGKILL');
  cluster.run(member, 'new');
  await cluster.serving(member);
}
