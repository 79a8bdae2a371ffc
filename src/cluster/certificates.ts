/** The cluster's keys and certificates on disk: made at the first start, read at the next ones, made anew before they run out. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { makeFolder, readIfThere, replaceFile } from '#host/files.ts';
import { createAuthority, type KeyPair, type LeafRequest, loadAuthority } from '#pki/certificate-authority.ts';
import { createServiceAccountKey } from '#pki/service-account-key.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';

export interface ClusterCertificates {
  /** PEM. */
  readonly ca: string;
  readonly apiserver: KeyPair;
  /** `kubernetes-admin` of system:masters' successor, the user in the kubeconfig. */
  readonly admin: KeyPair;
  readonly serviceAccountKey: string;
}

export interface CertificateRequest {
  readonly folder: string;
  /** Addresses the apiserver is reached at. */
  readonly ipAddresses: readonly string[];
  readonly dnsNames: readonly string[];
}

/** A certificate with less than this left is replaced at the next start. */
export const renewBeforeMs = 30 * 24 * 3600 * 1000;

export async function ensureCertificates(
  { folder, ipAddresses, dnsNames }: CertificateRequest,
  deps: { readonly clock: Clock; readonly prng: Prng },
): Promise<ClusterCertificates> {
  await makeFolder(folder, 0o700);
  const [caPair, apiserverPair, adminPair, signingKey] = await Promise.all([
    readPair(folder, 'ca'),
    readPair(folder, 'apiserver'),
    readPair(folder, 'admin'),
    readIfThere(join(folder, 'sa.key')),
  ]);
  const requests = {
    apiserver: { commonName: 'kube-apiserver', ipAddresses, dnsNames, usages: ['server', 'client'] },
    admin: { commonName: 'kubernetes-admin', organizations: ['system:masters'], usages: ['client'] },
  } satisfies Record<string, LeafRequest>;
  const usable = (pair: KeyPair | undefined, request: LeafRequest) =>
    pair !== undefined && caPair !== undefined && fits(pair, request, { ...deps, ca: caPair.certificate })
      ? pair
      : undefined;
  let ca = caPair;
  let apiserver = usable(apiserverPair, requests.apiserver);
  let admin = usable(adminPair, requests.admin);
  if (ca === undefined || apiserver === undefined || admin === undefined) {
    // The library of certificates is loaded only where there is something to make.
    const authority = ca ? await loadAuthority(ca, deps) : await createAuthority({ commonName: 'kubernetes' }, deps);
    if (ca === undefined) await writePair(folder, 'ca', authority);
    ca = authority;
    [apiserver, admin] = await Promise.all([
      apiserver ?? writePair(folder, 'apiserver', await authority.issue(requests.apiserver)),
      admin ?? writePair(folder, 'admin', await authority.issue(requests.admin)),
    ]);
  }
  let serviceAccountKey = signingKey?.toString('utf8');
  if (serviceAccountKey === undefined) {
    ({ privateKey: serviceAccountKey } = await createServiceAccountKey());
    await replaceFile(join(folder, 'sa.key'), serviceAccountKey, { mode: 0o600 });
  }
  return { ca: ca.certificate, apiserver, admin, serviceAccountKey };
}

/**
 * Whether what is on disk can stay: of this authority (another one may have had the same name), with its own key, for this user at all these
 * names, for long enough.
 * @param ca PEM: the authority's certificate
 */
export function fits(
  { certificate, key }: KeyPair,
  { commonName, ipAddresses = [], dnsNames = [] }: LeafRequest,
  { ca, clock }: { readonly ca: string; readonly clock: Clock },
): boolean {
  const leaf = new X509Certificate(certificate);
  const issuer = new X509Certificate(ca);
  const names = (leaf.subjectAltName ?? '').split(', ').map((entry) => entry.replace(/^(DNS|IP Address):/, ''));
  return (
    leaf.validToDate.getTime() - clock.now() > renewBeforeMs &&
    leaf.subject.split('\n').includes(`CN=${commonName}`) &&
    [...ipAddresses, ...dnsNames].every((name) => names.includes(name)) &&
    leaf.checkIssued(issuer) &&
    leaf.verify(issuer.publicKey) &&
    leaf.checkPrivateKey(createPrivateKey(key))
  );
}

export async function readPair(folder: string, name: string): Promise<KeyPair | undefined> {
  const [certificate, key] = await Promise.all([
    readIfThere(join(folder, `${name}.crt`)),
    readIfThere(join(folder, `${name}.key`)),
  ]);
  if (certificate === undefined || key === undefined) return undefined;
  return { certificate: certificate.toString('utf8'), key: key.toString('utf8') };
}

/** Durable is not needed: what is lost, or is half of the old pair and half of the new one, is made anew. */
export async function writePair(folder: string, name: string, { certificate, key }: KeyPair): Promise<KeyPair> {
  await replaceFile(join(folder, `${name}.key`), key, { mode: 0o600, durable: false });
  await replaceFile(join(folder, `${name}.crt`), certificate, { mode: 0o644, durable: false });
  return { certificate, key };
}
