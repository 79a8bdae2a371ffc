/**
 * Certificate authorities and the leaf certificates they issue, in the shape kubeadm gives them: EC P-256 keys, ECDSA with
 * SHA-256, PKCS#8 PEM. Files, folders and renewal are the business of whoever calls.
 * RFC 5280; the subjects Kubernetes reads: CN is the user, each O a group.
 */
import { createPrivateKey, createPublicKey, webcrypto } from 'node:crypto';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { randomBytes } from '#std/prng.ts';
import { loadX509, type X509 } from './x509.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const repeatable = { name: 'Ed25519' } as const;
const dayMs = 24 * 60 * 60 * 1000;
/** Certificates start this long before they were made, so that a peer whose clock is behind accepts them. */
const backdateMs = 5 * 60 * 1000;

export interface KeyPair {
  /** PEM. */
  readonly certificate: string;
  /** PKCS#8 PEM. */
  readonly key: string;
}

export interface LeafRequest {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  /** Textual IPv4 or IPv6. */
  readonly ipAddresses?: readonly string[];
  readonly usages: readonly ('server' | 'client')[];
  /** Default: a year, as kubeadm's. */
  readonly validityDays?: number;
}

export interface AuthorityDeps {
  readonly clock: Clock;
  /** Serial numbers; must be fit for secrets outside tests. */
  readonly prng: Prng;
}

export interface CertificateAuthority extends KeyPair {
  /** Makes a key and a certificate for it. */
  issue(request: LeafRequest): Promise<KeyPair>;
}

/** Makes a self-signed authority, valid for ten years unless told otherwise. */
export async function createAuthority(
  {
    commonName,
    validityDays = 3650,
    keyBytes,
  }: {
    readonly commonName: string;
    readonly validityDays?: number;
    /**
     * 32 bytes that the key is made of: the same bytes, clock and serial give the same certificate. For tests that repeat. It is then
     * an Ed25519 key, whose signatures repeat, too.
     */
    readonly keyBytes?: Uint8Array;
  },
  deps: AuthorityDeps,
): Promise<CertificateAuthority> {
  const x509 = await loadX509();
  const signingAlgorithm = keyBytes === undefined ? algorithm : repeatable;
  const keys =
    keyBytes === undefined
      ? await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
      : await keysOf(keyBytes);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: subject(commonName, []),
    keys,
    ...validity(deps.clock, validityDays),
    serialNumber: serialNumber(deps.prng),
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment | x509.KeyUsageFlags.keyCertSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const pair = { certificate: `${certificate.toString('pem')}\n`, key: await privateKeyPem(keys.privateKey) };
  return authority(pair, keys.privateKey, deps);
}

/** An authority from its PEM pair. Throws when the key is no P-256 key in PKCS#8. */
export async function loadAuthority(pair: KeyPair, deps: AuthorityDeps): Promise<CertificateAuthority> {
  const der = Buffer.from(pair.key.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const key = await webcrypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign']);
  return authority(pair, key, deps);
}

function authority(pair: KeyPair, signingKey: webcrypto.CryptoKey, deps: AuthorityDeps): CertificateAuthority {
  return {
    ...pair,
    async issue(request) {
      const x509 = await loadX509();
      const issuer = new x509.X509Certificate(pair.certificate);
      const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
      const certificate = await x509.X509CertificateGenerator.create({
        subject: subject(request.commonName, request.organizations ?? []),
        issuer: issuer.subjectName,
        publicKey: keys.publicKey,
        signingKey,
        ...validity(deps.clock, request.validityDays ?? 365),
        serialNumber: serialNumber(deps.prng),
        signingAlgorithm: signingKey.algorithm.name === repeatable.name ? repeatable : algorithm,
        extensions: await leafExtensions(x509, request, issuer.publicKey),
      });
      return { certificate: `${certificate.toString('pem')}\n`, key: await privateKeyPem(keys.privateKey) };
    },
  };
}

/** RFC 8410: an Ed25519 key in PKCS#8 is this and its 32 bytes. */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

async function keysOf(bytes: Uint8Array): Promise<webcrypto.CryptoKeyPair> {
  const pkcs8 = Buffer.concat([pkcs8Prefix, bytes]);
  const spki = createPublicKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })).export({
    format: 'der',
    type: 'spki',
  });
  const [privateKey, publicKey] = await Promise.all([
    webcrypto.subtle.importKey('pkcs8', pkcs8, repeatable, true, ['sign']),
    webcrypto.subtle.importKey('spki', spki, repeatable, true, ['verify']),
  ]);
  return { privateKey, publicKey };
}

async function leafExtensions(x509: X509, request: LeafRequest, issuerKey: InstanceType<X509['PublicKey']>) {
  const usages = request.usages.map((usage) =>
    usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
  );
  const names = [
    ...(request.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(request.ipAddresses ?? []).map((value) => ({ type: 'ip' as const, value })),
  ];
  return [
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
    new x509.ExtendedKeyUsageExtension(usages),
    new x509.BasicConstraintsExtension(false, undefined, true),
    await x509.AuthorityKeyIdentifierExtension.create(issuerKey),
    ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
  ];
}

function subject(commonName: string, organizations: readonly string[]) {
  return [...organizations.map((organization) => ({ O: [organization] })), { CN: [commonName] }];
}

function validity(clock: Clock, days: number): { notBefore: Date; notAfter: Date } {
  const now = clock.now();
  return { notBefore: new Date(now - backdateMs), notAfter: new Date(now + days * dayMs) };
}

/** A positive 128-bit serial number, in hex. */
function serialNumber(prng: Prng): string {
  const bytes = randomBytes(prng, 16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/.{1,64}/g, '$&\n')}-----END PRIVATE KEY-----\n`;
}
