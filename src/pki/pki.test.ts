/** Certificates that OpenSSL's rules accept, and tokens that only their own key verifies. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { drainTurns } from '#host/event-loop.ts';
import { seededPrng } from '#std/prng.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { createAuthority, loadAuthority } from './certificate-authority.ts';
import { createServiceAccountKey, publicKeyOf } from './service-account-key.ts';
import { createTokenSigner, TokenError } from './token-signer.ts';

test('a leaf carries user, groups and names, and its authority signed it', async () => {
  const deps = { clock: new VirtualClock(), prng: seededPrng(1) };
  const made = await createAuthority({ commonName: 'kubernetes' }, deps);
  const authority = await loadAuthority(made, deps);
  const { certificate, key } = await authority.issue({
    commonName: 'kube-apiserver',
    organizations: ['system:masters', 'second'],
    dnsNames: ['localhost', 'kubernetes.default.svc'],
    ipAddresses: ['127.0.0.1', '::1'],
    usages: ['server', 'client'],
  });
  const leaf = new X509Certificate(certificate);
  const issuer = new X509Certificate(made.certificate);
  assert.equal(leaf.subject, 'O=system:masters\nO=second\nCN=kube-apiserver');
  assert.equal(leaf.verify(issuer.publicKey), true);
  assert.equal(leaf.checkIssued(issuer), true);
  assert.equal(issuer.ca, true);
  assert.equal(leaf.checkHost('kubernetes.default.svc'), 'kubernetes.default.svc');
  assert.equal(leaf.checkIP('127.0.0.1'), '127.0.0.1');
  assert.match(key, /^-----BEGIN PRIVATE KEY-----\n/);
});

test('the same bytes make the same authority, and what it issues verifies', async () => {
  const deps = () => ({ clock: new VirtualClock(), prng: seededPrng(1) });
  const keyBytes = Buffer.alloc(32, 7);
  const one = await createAuthority({ commonName: 'kubernetes', keyBytes }, deps());
  const two = await createAuthority({ commonName: 'kubernetes', keyBytes }, deps());
  assert.equal(one.certificate, two.certificate);
  assert.equal(one.key, two.key);
  const leaf = new X509Certificate((await one.issue({ commonName: 'a', usages: ['client'] })).certificate);
  assert.equal(leaf.verify(new X509Certificate(two.certificate).publicKey), true);
});

test('a token verifies until it expires, and not after its key is forgotten', async () => {
  const clock = new VirtualClock();
  const first = await createServiceAccountKey();
  const signer = await createTokenSigner(first, { clock });
  const seconds = Math.floor(clock.now() / 1000);
  const token = await signer.sign({ sub: 'system:serviceaccount:default:default', exp: seconds + 3600 });
  assert.equal((await signer.verify(token))['sub'], 'system:serviceaccount:default:default');

  const second = await createServiceAccountKey();
  const rotated = await createTokenSigner(
    { privateKey: second.privateKey, publicKeys: [publicKeyOf(first.privateKey)] },
    { clock },
  );
  assert.equal((await rotated.verify(token))['sub'], 'system:serviceaccount:default:default');
  assert.equal(rotated.jwks.keys.length, 2);
  const forgetful = await createTokenSigner(second, { clock });
  await assert.rejects(forgetful.verify(token), TokenError);

  await clock.advance(3_700_000, drainTurns);
  await assert.rejects(signer.verify(token), /exp/);
  await assert.rejects(signer.verify('not.a.token'), TokenError);
});
