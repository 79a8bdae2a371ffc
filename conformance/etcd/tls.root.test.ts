/** Certificates of clients: who is let in, who they are, what is renewed while the server runs. The reference beside ours where it can. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createPrivateKey, webcrypto } from 'node:crypto';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { get as httpsGet } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { type CertificateAuthority, createAuthority } from '#pki/certificate-authority.ts';
import { loadX509 } from '#pki/x509.ts';
import { freePorts, startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';

const run = promisify(execFile);
const timeout = 90_000;
const folder = mkdtempSync(join(tmpdir(), 'etcd-tls-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const etcdctl = referenceBinary('etcd-client', 'etcdctl');
const servers = {
  reference: [referenceBinary('etcd-server', 'etcd')],
  ours: [new URL('../../bin/wherry', import.meta.url).pathname, 'etcd'],
};
const pki = { clock: systemClock, prng: systemPrng() };
let authority: CertificateAuthority;

before(async () => {
  authority = await createAuthority({ commonName: 'etcd-ca' }, pki);
});

/** Replaces a file at once, as who renews certificates does. */
function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return path;
}

async function certificate(name: string, usages: readonly ('server' | 'client')[], by = authority): Promise<string[]> {
  const { certificate: pem, key } = await by.issue({
    commonName: name,
    usages,
    dnsNames: [`${name}.local`],
    ipAddresses: ['127.0.0.1'],
  });
  return [file(`${name}.crt`, pem), file(`${name}.key`, key)];
}

/** Starts a server that answers plainly for its health, and by TLS for what is tested. */
async function serve(command: readonly string[], name: string, flags: readonly string[]) {
  const [plain, secure] = await freePorts(2);
  const urls = `http://127.0.0.1:${plain},https://127.0.0.1:${secure}`;
  const server = await startEtcdProcess({
    command,
    dataDir: join(folder, `data-${name}`),
    clientPort: plain!,
    flags: ['--listen-client-urls', urls, ...flags],
  });
  return { server, url: `https://127.0.0.1:${secure}`, port: secure! };
}

for (const [who, command] of Object.entries(servers))
  test(`TLS and plain text on one address: ${who}`, { timeout }, async () => {
    const [port] = await freePorts(1);
    const [cert, key] = await certificate(`both-${who}`, ['server']);
    await using server = await startEtcdProcess({
      command,
      dataDir: join(folder, `data-both-${who}`),
      clientPort: port!,
      flags: [
        ...['--listen-client-urls', `http://127.0.0.1:${port},https://127.0.0.1:${port}`],
        ...['--cert-file', cert!, '--key-file', key!],
      ],
    });
    const ca = file('both-ca.crt', authority.certificate);
    assert.equal(await ask(server.clientUrl, ['put', 'k', 'v']), 'OK');
    assert.equal(await ask(`https://127.0.0.1:${port}`, ['--cacert', ca, 'get', 'k']), 'k\nv');
  });

/** What `etcdctl` says, or that it was not let in. */
async function ask(url: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run(etcdctl, ['--endpoints', url, '--command-timeout', '3s', ...args], {
      timeout: 15_000,
    });
    return stdout.trim();
  } catch (error) {
    const { stderr } = error as { readonly stderr: string };
    return /permission denied|user name is empty|invalid auth token/.exec(stderr)?.[0] ?? 'refused';
  }
}

/** Common name of the certificate that the server shows. */
function shown(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, 'it does not come about');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

for (const [who, command] of Object.entries(servers)) {
  test(`an authority alone asks for certificates, too: ${who}`, { timeout }, async () => {
    const [cert, key] = await certificate(`server-${who}`, ['server', 'client']);
    const ca = file('ca.crt', authority.certificate);
    const { server, url } = await serve(command, `ca-${who}`, [
      '--cert-file',
      cert!,
      '--key-file',
      key!,
      '--trusted-ca-file',
      ca,
    ]);
    await using _ = server;
    const [clientCert, clientKey] = await certificate('anyone', ['client']);
    assert.equal(await ask(url, ['--cacert', ca, 'put', 'a', '1']), 'refused');
    assert.equal(await ask(url, ['--cacert', ca, '--cert', clientCert!, '--key', clientKey!, 'put', 'a', '1']), 'OK');
    assert.match(
      server.log(),
      /"level":"warn".*rejected connection on client endpoint.*"remote-addr":"127\.0\.0\.1:\d+"/,
    );
  });

  test(`a renewed certificate is shown without a restart: ${who}`, { timeout }, async () => {
    const issue = async (name: string) => {
      const { certificate: pem, key } = await authority.issue({ commonName: name, usages: ['server', 'client'] });
      return [file(`renewed-${who}.key`, key), file(`renewed-${who}.crt`, pem)];
    };
    const [key, cert] = await issue('first');
    const { server, port } = await serve(command, `renew-${who}`, ['--cert-file', cert!, '--key-file', key!]);
    await using _ = server;
    assert.equal(await shown(port), 'first');
    await issue('second');
    await until(async () => (await shown(port).catch(() => '')) === 'second');
  });

  test(`--auto-tls: ${who}`, { timeout }, async () => {
    const { server, url } = await serve(command, `auto-${who}`, ['--auto-tls']);
    await using _ = server;
    assert.equal(await ask(url, ['--insecure-transport=false', '--insecure-skip-tls-verify', 'put', 'a', '1']), 'OK');
  });

  test(`a certificate's name is its user: ${who}`, { timeout }, async () => {
    const [cert, key] = await certificate(`cn-${who}`, ['server', 'client']);
    const ca = file('ca.crt', authority.certificate);
    const { server, url, port } = await serve(command, `cn-${who}`, [
      ...['--cert-file', cert!, '--key-file', key!, '--trusted-ca-file', ca, '--client-cert-auth'],
    ]);
    await using _ = server;
    const as = async (name: string) => {
      const [its, itsKey] = await certificate(name, ['client']);
      return ['--cacert', ca, '--cert', its!, '--key', itsKey!];
    };
    const [root, anna, stranger] = [await as('root'), await as('anna'), await as('stranger')];
    for (const args of [
      ['user', 'add', 'root', '--no-password'],
      ['user', 'add', 'anna', '--no-password'],
      ['role', 'add', 'r'],
      ['role', 'grant-permission', 'r', 'readwrite', 'a'],
      ['user', 'grant-role', 'anna', 'r'],
      ['user', 'grant-role', 'root', 'root'],
      ['auth', 'enable'],
    ])
      assert.notEqual(await ask(url, [...root, ...args]), 'refused', args.join(' '));
    assert.equal(await ask(url, [...root, 'put', 'b', '1']), 'OK');
    assert.equal(await ask(url, [...anna, 'put', 'a', '1']), 'OK');
    assert.equal(await ask(url, [...anna, 'put', 'b', '2']), 'permission denied');
    assert.equal(await ask(url, [...stranger, 'put', 'a', '2']), 'permission denied');
    // The gateway speaks for whoever has a token, never for a certificate.
    const status = await new Promise((resolve, reject) => {
      const its = { cert: requireText(join(folder, 'root.crt')), key: requireText(join(folder, 'root.key')) };
      const request = httpsGet(
        { port, host: '127.0.0.1', path: '/v3/kv/range', ca: authority.certificate, ...its },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      request.on('error', reject);
    });
    assert.equal(status, 400);
  });

  test(`GHSA-3wh4-j44w-pg92: a revoked certificate is no certificate, by gRPC and by HTTP: ${who}`, {
    timeout,
  }, async () => {
    const [cert, key] = await certificate(`crl-${who}`, ['server', 'client']);
    const [goodCert, goodKey] = await certificate('good', ['client']);
    const [badCert, badKey] = await certificate('bad', ['client']);
    const ca = file('ca.crt', authority.certificate);
    const x509 = await loadX509();
    const signingKey = await webcrypto.subtle.importKey(
      'pkcs8',
      createPrivateKey(authority.key).export({ format: 'der', type: 'pkcs8' }),
      { name: 'ECDSA', namedCurve: 'P-256' },
      false,
      ['sign'],
    );
    const list = await x509.X509CrlGenerator.create({
      issuer: new x509.X509Certificate(authority.certificate).subject,
      thisUpdate: new Date(Date.now() - 60_000),
      nextUpdate: new Date(Date.now() + 3_600_000),
      entries: [{ serialNumber: new x509.X509Certificate(requireText(badCert!)).serialNumber }],
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      signingKey,
    });
    const crl = derFile(`crl-${who}.der`, list.rawData);
    const { server, url, port } = await serve(command, `crl-${who}`, [
      ...[
        '--cert-file',
        cert!,
        '--key-file',
        key!,
        '--trusted-ca-file',
        ca,
        '--client-cert-auth',
        '--client-crl-file',
        crl,
      ],
    ]);
    await using _ = server;
    const good = ['--cacert', ca, '--cert', goodCert!, '--key', goodKey!];
    assert.equal(await ask(url, [...good, 'put', 'a', '1']), 'OK');
    const bad = ['--cacert', ca, '--cert', badCert!, '--key', badKey!];
    assert.equal(await ask(url, [...bad, 'put', 'a', '1']), 'refused');
    const health = (its: string, itsKey: string) =>
      new Promise<string>((resolve) => {
        const options = { port, host: '127.0.0.1', path: '/health', ca: authority.certificate };
        httpsGet({ ...options, cert: requireText(its), key: requireText(itsKey) }, (response) => {
          response.resume();
          resolve(String(response.statusCode));
        }).on('error', () => resolve('refused'));
      });
    assert.equal(await health(goodCert!, goodKey!), '200');
    assert.equal(await health(badCert!, badKey!), 'refused');
  });
}

test('a new authority counts without a restart', { timeout }, async () => {
  const other = await createAuthority({ commonName: 'other-ca' }, pki);
  const [cert, key] = await certificate('ca-reload', ['server', 'client']);
  const ca = file('own-ca.crt', authority.certificate);
  const trusted = file('trusted.crt', authority.certificate);
  const { server, url } = await serve(servers.ours, 'ca-reload', [
    ...['--cert-file', cert!, '--key-file', key!, '--trusted-ca-file', trusted],
  ]);
  await using _ = server;
  const [its, itsKey] = await certificate('newcomer', ['client'], other);
  const args = ['--cacert', ca, '--cert', its!, '--key', itsKey!, 'put', 'a', '1'];
  assert.equal(await ask(url, args), 'refused');
  file('trusted.crt', `${authority.certificate}${other.certificate}`);
  await until(async () => (await ask(url, args)) === 'OK');
  // Half a file changes nothing.
  file('trusted.crt', '-----BEGIN CERTIFICATE-----\nhalf');
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(await ask(url, args), 'OK');
});

test('only names that are allowed', { timeout }, async () => {
  const [cert, key] = await certificate('names', ['server', 'client']);
  const ca = file('ca.crt', authority.certificate);
  const { server, url } = await serve(servers.ours, 'names', [
    ...['--cert-file', cert!, '--key-file', key!, '--trusted-ca-file', ca, '--client-cert-auth'],
    ...['--client-cert-allowed-hostname', 'api.local,more.local', '--tls-min-version', 'TLS1.3'],
  ]);
  await using _ = server;
  for (const [name, answer] of [
    ['api', 'OK'],
    ['elsewhere', 'refused'],
  ] as const) {
    const [its, itsKey] = await certificate(name, ['client']);
    assert.equal(await ask(url, ['--cacert', ca, '--cert', its!, '--key', itsKey!, 'put', 'a', '1']), answer);
  }
});

function requireText(path: string): string {
  return readFileSync(path, 'utf8');
}

function derFile(name: string, bytes: ArrayBuffer): string {
  const path = join(folder, name);
  writeFileSync(path, new Uint8Array(bytes));
  return path;
}
