/** Our server as a process: killed in the middle of writes, and behind TLS with client certificates. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { createAuthority } from '#pki/certificate-authority.ts';
import { connectRpc } from '#rpc/client.ts';
import { utf8Decode } from '#std/bytes.ts';
import { freePorts, startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { parseTarget } from '#transport/dial.ts';
import { recordedSurface } from './surface.ts';

const run = promisify(execFile);
const command = [new URL('../../bin/wherry', import.meta.url).pathname, 'etcd'];
const timeout = 60_000;

test('killed again and again while it is written to, it forgets nothing that it acknowledged', {
  timeout,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'etcd-kill-'));
  const acknowledged = new Map<string, number>();
  const asked = new Map<string, number>();
  let revision = 0;
  try {
    for (let round = 0; round < 6; round++) {
      await using server = await startEtcdProcess({ command, dataDir: join(folder, 'data') });
      await using channel = connectRpc({ target: parseTarget(server.clientUrl), clock: systemClock });
      const client = createEtcdClient(channel, systemClock);
      const { kvs, header } = await client.range({ key: Buffer.from('key'), rangeEnd: Buffer.from('kez') });
      assert.ok(header!.revision >= revision);
      revision = header!.revision;
      const found = new Map(kvs.map(({ key, value }) => [utf8Decode(key), Number(utf8Decode(value))]));
      for (const [key, value] of acknowledged) assert.ok((found.get(key) ?? 0) >= value, `${key} went back`);
      for (const [key, value] of found) assert.ok(value <= asked.get(key)!, `${key} was never written`);
      let answers = 0;
      const enough = Promise.withResolvers<void>();
      const writers = Array.from({ length: 32 }, async (_, i) => {
        const key = `key${i}`;
        for (;;) {
          const number = Math.max(found.get(key) ?? 0, asked.get(key) ?? 0) + 1;
          asked.set(key, number);
          const answer = await client.put({ key: Buffer.from(key), value: Buffer.from(String(number)) });
          acknowledged.set(key, number);
          if (++answers === 100 + 90 * round) enough.resolve();
          revision = Math.max(revision, answer.header!.revision);
        }
      });
      const ended = Promise.allSettled(writers);
      // A slow machine takes longer, and has written as much.
      await new Promise((resolve) => setTimeout(resolve, 150 + 100 * round));
      await Promise.race([enough.promise, ended]);
      await server.stop('SIGKILL');
      await ended;
    }
    assert.ok(revision > 1000, `only ${revision} revisions`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('TLS: clients with a certificate of the authority are served, others are not', { timeout }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'etcd-tls-'));
  try {
    const pki = { clock: systemClock, prng: systemPrng() };
    const authority = await createAuthority({ commonName: 'etcd-ca' }, pki);
    const issued = {
      server: await authority.issue({ commonName: 'etcd', usages: ['server'], ipAddresses: ['127.0.0.1'] }),
      client: await authority.issue({ commonName: 'apiserver', usages: ['client'] }),
    };
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    const ca = file('ca.crt', authority.certificate);
    const [plainPort, securePort] = await freePorts(2);
    await using server = await startEtcdProcess({
      command,
      dataDir: join(folder, 'data'),
      clientPort: plainPort!,
      flags: [
        ...['--listen-client-urls', `http://127.0.0.1:${plainPort},https://127.0.0.1:${securePort}`],
        ...['--cert-file', file('server.crt', issued.server.certificate)],
        ...['--key-file', file('server.key', issued.server.key)],
        ...['--trusted-ca-file', ca, '--client-cert-auth'],
      ],
    });
    assert.ok(server.clientPort > 0);
    const identity = [
      '--cert',
      file('client.crt', issued.client.certificate),
      '--key',
      file('client.key', issued.client.key),
    ];
    const clients = [[referenceBinary('etcd-client', 'etcdctl')], [command[0]!, 'etcdctl']];
    for (const [binary, ...args] of clients) {
      const base = [
        ...args,
        '--endpoints',
        `https://127.0.0.1:${securePort}`,
        '--command-timeout',
        '2s',
        '--cacert',
        ca,
      ];
      const { stdout } = await run(binary!, [...base, ...identity, 'put', 'a', '1'], { timeout: 10_000 });
      assert.equal(stdout, 'OK\n');
      await assert.rejects(run(binary!, [...base, 'put', 'a', '2'], { timeout: 10_000 }));
      const untrusted = base.slice(0, -2);
      await assert.rejects(run(binary!, [...untrusted, ...identity, 'put', 'a', '3'], { timeout: 10_000 }));
    }
    await using channel = connectRpc({ target: parseTarget(server.clientUrl), clock: systemClock });
    const { kvs } = await createEtcdClient(channel, systemClock).range({ key: Buffer.from('a') });
    assert.equal(utf8Decode(kvs[0]!.value), '1');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('every metric of ours is one of the reference, of the same type, but those that the table of the surface says are not', {
  timeout,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'etcd-metrics-'));
  const typesOf = async (binary: readonly string[], name: string) => {
    await using server = await startEtcdProcess({ command: binary, dataDir: join(folder, name) });
    const text = await new Promise<string>((resolve, reject) => {
      get(`${server.clientUrl}/metrics`, { agent: new Agent() }, (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.on('end', () => resolve(body));
      }).on('error', reject);
    });
    return new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, metric, type]) => [metric!, type!]));
  };
  try {
    const theirs = await typesOf([referenceBinary('etcd-server', 'etcd')], 'theirs');
    const ours = await typesOf(command, 'ours');
    assert.ok(ours.size > 20);
    for (const { kind, name, reference } of recordedSurface())
      if (kind === 'metric' && reference === 'absent') ours.delete(name);
    for (const [metric, type] of ours) assert.equal(theirs.get(metric), type, metric);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('the flags that kubeadm gives are taken', { timeout }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'etcd-kubeadm-'));
  try {
    const [metricsPort] = await freePorts(1);
    const authority = await createAuthority({ commonName: 'etcd-ca' }, { clock: systemClock, prng: systemPrng() });
    const peer = await authority.issue({ commonName: 'peer', usages: ['server', 'client'], ipAddresses: ['10.0.0.1'] });
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    await using server = await startEtcdProcess({
      command,
      dataDir: join(folder, 'data'),
      flags: [
        '--feature-gates=InitialCorruptCheck=true',
        '--initial-advertise-peer-urls=https://10.0.0.1:2380',
        '--initial-cluster=default=https://10.0.0.1:2380',
        `--listen-metrics-urls=http://127.0.0.1:${metricsPort}`,
        `--peer-cert-file=${file('peer.crt', peer.certificate)}`,
        '--peer-client-cert-auth=true',
        `--peer-key-file=${file('peer.key', peer.key)}`,
        `--peer-trusted-ca-file=${file('ca.crt', authority.certificate)}`,
        '--snapshot-count=10000',
        '--watch-progress-notify-interval=5s',
      ],
    });
    assert.ok(server.clientPort > 0);
    for (const path of ['readyz', 'livez', 'health', 'metrics']) {
      const status = await new Promise<number | undefined>((resolve, reject) => {
        get(`http://127.0.0.1:${metricsPort}/${path}`, { agent: new Agent() }, (response) => {
          response.resume();
          resolve(response.statusCode);
        }).on('error', reject);
      });
      assert.equal(status, 200, path);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
