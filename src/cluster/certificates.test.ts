/** What is on disk stays while it fits; what another authority signed, or what lost its key, is made anew. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { drainTurns } from '#host/event-loop.ts';
import { seededPrng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { ensureCertificates, renewBeforeMs } from './certificates.ts';
import { ensureComponentCertificates, ensurePeerCertificates } from './control-planes/component-certificates.ts';

const members = ['cp-1', 'cp-2'];
const ofCluster = ['apiserver', 'admin', 'kubelet', 'kube-proxy', 'coredns', 'apiserver-kubelet-client'];
const ofMembers = members.map((member) => `etcd/peer-${member}`);
const leaves = [...ofCluster, ...ofMembers];

function newFolder(scope: Scope) {
  const folder = mkdtempSync(join(tmpdir(), 'pki-'));
  scope.defer(() => rmSync(folder, { recursive: true }));
  const deps = { clock: new VirtualClock(), prng: seededPrng(1) };
  const ensure = async (ipAddresses: readonly string[] = ['127.0.0.1']) => {
    await ensureCertificates({ folder, ipAddresses, dnsNames: ['localhost'] }, deps);
    await ensureComponentCertificates({ folder, nodeName: 'node', nodeIp: '127.0.0.1' }, deps);
    await ensurePeerCertificates(folder, members, deps);
  };
  const read = (name: string) => new X509Certificate(readFileSync(join(folder, `${name}.crt`)));
  const serials = () => Object.fromEntries(leaves.map((name) => [name, read(name).serialNumber]));
  const assertSigned = () => {
    for (const name of leaves) {
      const ca = read(name.startsWith('etcd/') ? 'etcd/ca' : 'ca');
      assert.equal(read(name).verify(ca.publicKey), true, name);
    }
  };
  return { folder, deps, ensure, read, serials, assertSigned };
}

/** Names of the certificates that are not what they were. */
function changed(before: Record<string, string>, after: Record<string, string>): string[] {
  return leaves.filter((name) => before[name] !== after[name]);
}

test('certificates that fit stay; one that lacks a name, or runs out soon, is made anew', async () => {
  await using scope = new Scope();
  const { deps, ensure, serials, assertSigned } = newFolder(scope);
  await ensure();
  const first = serials();
  await ensure();
  assert.deepEqual(changed(first, serials()), []);
  await ensure(['127.0.0.1', '10.96.0.1']);
  assert.deepEqual(changed(first, serials()), ['apiserver']);
  const second = serials();
  await deps.clock.advance(365 * 24 * 3600 * 1000 - renewBeforeMs, drainTurns);
  await ensure(['127.0.0.1', '10.96.0.1']);
  assert.deepEqual(changed(second, serials()), leaves);
  assertSigned();
});

test('a new authority of the same name signs everything anew', async () => {
  await using scope = new Scope();
  const { folder, ensure, serials, assertSigned } = newFolder(scope);
  await ensure();
  let before = serials();
  rmSync(join(folder, 'ca.crt'));
  await ensure();
  assert.deepEqual(changed(before, serials()), ofCluster);
  assertSigned();
  before = serials();
  rmSync(join(folder, 'etcd/ca.key'));
  await ensure();
  assert.deepEqual(changed(before, serials()), ofMembers);
  assertSigned();
});

test('an authority that was put in the place of another signs everything anew', async () => {
  await using scope = new Scope();
  const [one, other] = [newFolder(scope), newFolder(scope)];
  await one.ensure();
  await other.ensure();
  const before = one.serials();
  for (const file of ['ca.crt', 'ca.key', 'etcd/ca.crt', 'etcd/ca.key'])
    copyFileSync(join(other.folder, file), join(one.folder, file));
  await one.ensure();
  assert.deepEqual(changed(before, one.serials()), leaves);
  one.assertSigned();
});

test('a certificate whose key was replaced without it is made anew', async () => {
  await using scope = new Scope();
  const { folder, ensure, serials } = newFolder(scope);
  await ensure();
  const before = serials();
  copyFileSync(join(folder, 'admin.key'), join(folder, 'apiserver.key'));
  copyFileSync(join(folder, 'admin.key'), join(folder, 'kubelet.key'));
  await ensure();
  assert.deepEqual(changed(before, serials()), ['apiserver', 'kubelet']);
});
