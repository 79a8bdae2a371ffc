/**
 * Certificates by which the processes of a cluster know each other: members of etcd under an authority of their own, as kubeadm has it, and each component
 * that reaches the API over a socket as its own user.
 */
import { join } from 'node:path';
import { makeFolder } from '#host/files.ts';
import {
  type CertificateAuthority,
  createAuthority,
  type KeyPair,
  type LeafRequest,
  loadAuthority,
} from '#pki/certificate-authority.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { fits, readPair, writePair } from '../certificates.ts';

export interface PkiDeps {
  readonly clock: Clock;
  readonly prng: Prng;
}

export interface ComponentCertificates {
  /** The kubelet, as a client and on its own port. */
  readonly kubelet: KeyPair;
  readonly kubeProxy: KeyPair;
  readonly dns: KeyPair;
  /** Who the apiserver is to kubelets. */
  readonly kubeletClient: KeyPair;
}

/** Makes what is missing or runs out soon. The cluster's authority must be there. */
export async function ensureComponentCertificates(
  { folder, nodeName, nodeIp }: { readonly folder: string; readonly nodeName: string; readonly nodeIp: string },
  deps: PkiDeps,
): Promise<ComponentCertificates> {
  const issue = issuer(folder, 'ca', deps);
  const [kubelet, kubeProxy, dns, kubeletClient] = await Promise.all([
    issue('kubelet', {
      commonName: `system:node:${nodeName}`,
      organizations: ['system:nodes'],
      ipAddresses: [nodeIp],
      dnsNames: [nodeName],
      usages: ['server', 'client'],
    }),
    issue('kube-proxy', { commonName: 'system:kube-proxy', usages: ['client'] }),
    issue('coredns', {
      commonName: 'system:serviceaccount:kube-system:coredns',
      organizations: ['system:serviceaccounts', 'system:serviceaccounts:kube-system'],
      usages: ['client'],
    }),
    issue('apiserver-kubelet-client', {
      commonName: 'kube-apiserver-kubelet-client',
      organizations: ['system:masters'],
      usages: ['client'],
    }),
  ]);
  return { kubelet, kubeProxy, dns, kubeletClient };
}

export interface PeerCertificate extends KeyPair {
  /** PEM: of the authority that all members share. */
  readonly ca: string;
}

const peerName = (member: string) => join('etcd', `peer-${member}`);

/** Makes the authority of etcd's members and a certificate for each, unless they are there. */
export async function ensurePeerCertificates(folder: string, members: readonly string[], deps: PkiDeps): Promise<void> {
  await makeFolder(join(folder, 'etcd'), 0o700);
  const ca = join('etcd', 'ca');
  if ((await readPair(folder, ca)) === undefined)
    await writePair(folder, ca, await createAuthority({ commonName: 'etcd-ca' }, deps));
  const issue = issuer(folder, ca, deps);
  await Promise.all(
    members.map((member) =>
      issue(peerName(member), {
        commonName: member,
        ipAddresses: ['127.0.0.1'],
        dnsNames: ['localhost'],
        usages: ['server', 'client'],
      }),
    ),
  );
}

/** @throws Error when it was not made */
export async function readPeerCertificate(folder: string, member: string): Promise<PeerCertificate> {
  const [authority, pair] = await Promise.all([
    readPair(folder, join('etcd', 'ca')),
    readPair(folder, peerName(member)),
  ]);
  if (authority === undefined || pair === undefined) throw new Error(`${folder} has no certificate of ${member}`);
  return { ...pair, ca: authority.certificate };
}

/** @throws Error when it was not made */
export async function requirePair(folder: string, name: string): Promise<KeyPair> {
  const pair = await readPair(folder, name);
  if (pair === undefined) throw new Error(`${join(folder, `${name}.crt`)} is not there`);
  return pair;
}

/** Issues under the authority called `authorityName`, whose key is parsed only when there is something to make. */
function issuer(folder: string, authorityName: string, deps: PkiDeps) {
  const authorityPair = requirePair(folder, authorityName);
  let authority: Promise<CertificateAuthority> | undefined;
  return async (name: string, request: LeafRequest): Promise<KeyPair> => {
    const [ca, pair] = await Promise.all([authorityPair, readPair(folder, name)]);
    if (pair !== undefined && fits(pair, request, { ...deps, ca: ca.certificate })) return pair;
    authority ??= loadAuthority(ca, deps);
    return writePair(folder, name, await (await authority).issue(request));
  };
}
