/**
 * TLS of a port from files, and again from them when they change: a certificate that was renewed and an authority that was added serve the next
 * connection, without a restart. A file that is half written leaves everything as it was, until it is whole.
 */
import { X509Certificate } from 'node:crypto';
import { type FSWatcher, mkdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { createAuthority } from '#pki/certificate-authority.ts';
import { revokedSerialNumbers } from '#pki/revocation-list.ts';
import type { Timer } from '#std/clock.ts';
import type { TlsConfig } from '#transport/listen.ts';
import { type Settings, SettingsError } from './settings.ts';

export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  readonly trustedCa: string | undefined;
  readonly revoked: string | undefined;
  readonly rest: Omit<TlsConfig, 'certificate' | 'key' | 'clientCa' | 'revoked'>;
}

/** @param prefix empty for clients, `peer-` for peers. Undefined when nothing was said about certificates. */
export function tlsFiles(settings: Settings, prefix: '' | 'peer-'): TlsFiles | undefined {
  const file = (name: string) => settings.string(`${prefix}${name}`) || undefined;
  const [certificate, key] = [file('cert-file'), file('key-file')];
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate === undefined || key === undefined)
    throw new SettingsError(`KeyFile and CertFile must both be present[key: ${key ?? ''}, cert: ${certificate ?? ''}]`);
  const trustedCa = file('trusted-ca-file');
  const isPeer = prefix === 'peer-';
  const allowedNames = settings.list(isPeer ? 'peer-cert-allowed-cn' : 'client-cert-allowed-hostname');
  return {
    certificate,
    key,
    trustedCa,
    revoked: settings.string(isPeer ? 'peer-crl-file' : 'client-crl-file') || undefined,
    rest: {
      // An authority alone asks for certificates, too.
      requireClientCertificate: settings.bool(`${prefix}client-cert-auth`) || trustedCa !== undefined,
      ...(isPeer && allowedNames.length > 0 && { allowedCommonNames: allowedNames }),
      ...(!isPeer && allowedNames.length > 0 && { allowedHostnames: allowedNames }),
      ...(isPeer &&
        settings.list('peer-cert-allowed-hostname').length > 0 && {
          allowedHostnames: settings.list('peer-cert-allowed-hostname'),
        }),
      ...versions(settings),
      ...ciphers(settings),
    },
  };
}

/** @throws Node's errors for files that are not there */
export function loadTls({ certificate, key, trustedCa, revoked, rest }: TlsFiles): TlsConfig {
  return {
    ...rest,
    certificate: readFileSync(certificate, 'utf8'),
    key: readFileSync(key, 'utf8'),
    ...(trustedCa !== undefined && { clientCa: authorities(trustedCa) }),
    ...(revoked !== undefined && { revoked: [...revokedSerialNumbers(readFileSync(revoked))] }),
  };
}

/** OpenSSL skips what it cannot read: a bundle that is cut would trust fewer than it says. @throws SettingsError */
function authorities(path: string): string {
  const text = readFileSync(path, 'utf8');
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (found.length === 0 || found.length !== text.split('-----BEGIN').length - 1)
    throw new SettingsError(`${path}: not whole certificates`);
  for (const pem of found) new X509Certificate(pem);
  return text;
}

/** Files of a change come one by one: they are read when it has been quiet for so long. */
const quietMs = 200;

/** Calls `changed` with what is in the files now, whenever that is something else, and `failed` when it cannot be read, or not be looked for. */
export function watchTls(
  files: TlsFiles,
  { changed, failed }: { readonly changed: (tls: TlsConfig) => void; readonly failed: (error: unknown) => void },
): Disposable {
  let known = JSON.stringify(loadTls(files));
  let timer: Timer | undefined;
  const look = () => {
    timer = undefined;
    try {
      const tls = loadTls(files);
      const now = JSON.stringify(tls);
      if (now === known) return;
      changed(tls);
      known = now;
    } catch (error) {
      failed(error);
    }
  };
  const paths = [files.certificate, files.key, files.trustedCa, files.revoked].filter((path) => path !== undefined);
  // Folders, not files: secrets are renewed by renaming.
  const watchers: FSWatcher[] = [...new Set(paths.map(dirname))].map((folder) =>
    watch(folder, { persistent: false }, () => {
      timer ??= systemClock.after(quietMs, look);
    }).on('error', failed),
  );
  return {
    [Symbol.dispose]() {
      timer?.[Symbol.dispose]();
      for (const watcher of watchers) watcher.close();
    },
  };
}

/** `--auto-tls`: a certificate nobody vouches for, made once and kept in the data folder. */
export async function selfSigned(
  folder: string,
  hosts: readonly string[],
  validityYears: number,
): Promise<Pick<TlsFiles, 'certificate' | 'key'>> {
  const files = { certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  try {
    readFileSync(files.certificate);
    readFileSync(files.key);
    return files;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const deps = { clock: systemClock, prng: systemPrng() };
  const validityDays = 365 * validityYears;
  const authority = await createAuthority({ commonName: 'etcd', validityDays }, deps);
  const isAddress = (host: string) => /^[\d.]+$|:/.test(host);
  const { certificate, key } = await authority.issue({
    commonName: 'etcd',
    usages: ['server', 'client'],
    validityDays,
    dnsNames: hosts.filter((host) => !isAddress(host)),
    ipAddresses: hosts.filter(isAddress),
  });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(files.certificate, certificate);
  writeFileSync(files.key, key, { mode: 0o600 });
  return files;
}

function versions(settings: Settings): Pick<TlsConfig, 'minVersion' | 'maxVersion'> {
  const [min, max] = ['tls-min-version', 'tls-max-version'].map((name) => {
    const text = settings.string(name);
    if (text === '' || text === 'TLS1.2' || text === 'TLS1.3') return text;
    throw new SettingsError(`unexpected TLS version ${JSON.stringify(text)}`);
  });
  if (min === 'TLS1.3' && max === 'TLS1.2')
    throw new SettingsError(`min version (${min}) is greater than max version (${max})`);
  if (min === 'TLS1.3' && settings.list('cipher-suites').length > 0)
    throw new SettingsError('cipher suites cannot be configured when only TLS1.3 is enabled');
  const node = { 'TLS1.2': 'TLSv1.2', 'TLS1.3': 'TLSv1.3' } as const;
  return {
    ...(min && { minVersion: node[min as keyof typeof node] }),
    ...(max && { maxVersion: node[max as keyof typeof node] }),
  };
}

/** Go's names and OpenSSL's. */
const suites: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: 'ECDHE-ECDSA-AES128-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: 'ECDHE-RSA-AES128-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_RSA_WITH_AES_128_CBC_SHA256: 'AES128-SHA256',
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
};

function ciphers(settings: Settings): Pick<TlsConfig, 'ciphers'> {
  const names = settings.list('cipher-suites');
  const found = names.map((name) => {
    // Suites of TLS 1.3 are called alike, and cannot be chosen in Go.
    if (/^TLS_(?:AES|CHACHA20)/.test(name)) return name;
    const suite = suites[name];
    if (suite === undefined) throw new SettingsError(`unexpected TLS cipher suite ${JSON.stringify(name)}`);
    return suite;
  });
  return found.length === 0 ? {} : { ciphers: found.join(':') };
}
