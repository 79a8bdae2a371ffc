/**
 * Two apiservers, each a process, on one etcd: one is killed in the middle of its writes. What it had acknowledged is there, the other goes on without an
 * error, its watch misses nothing, no address has two owners, and a third server takes the dead one's place.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { startApiserverProcess } from '#testkit/apiserver-process.ts';
import { startEtcdProcess } from '#testkit/etcd-process.ts';
import { createFetch } from '#transport/fetch.ts';
import type { HttpHandler, HttpResponse } from '#transport/http.ts';

const services = '/api/v1/namespaces/default/services';

interface Service {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly spec: { readonly clusterIP: string; readonly ports: readonly { readonly nodePort: number }[] };
}

function request(fetch: HttpHandler, method: string, target: string, body?: object): Promise<HttpResponse> {
  return fetch({
    method,
    target,
    headers: [['content-type', 'application/json']],
    authority: 'test',
    protocol: 'HTTP/1.1',
    body: (async function* () {
      if (body !== undefined) yield Buffer.from(JSON.stringify(body));
    })(),
    peer: { address: 'test' },
    signal: AbortSignal.timeout(60_000),
  });
}

async function call(fetch: HttpHandler, method: string, target: string, body?: object) {
  const response = await request(fetch, method, target, body);
  const chunks = await Array.fromAsync(response.body as AsyncIterable<Uint8Array>);
  return { code: response.status, object: JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown };
}

test('a server is killed in the middle of its writes: nothing acknowledged is lost', { timeout: 120_000 }, async () => {
  await using scope = new Scope();
  const dataDir = mkdtempSync(join(tmpdir(), 'wherry-killed-'));
  scope.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  const command = [new URL('../../bin/etcd', import.meta.url).pathname];
  const etcd = scope.use(await startEtcdProcess({ command, dataDir }));
  const victim = scope.use(await startApiserverProcess(etcd.clientUrl));
  const survivor = scope.use(await startApiserverProcess(etcd.clientUrl));
  const toVictim = scope.use(createFetch({ address: victim.url }));
  const toSurvivor = scope.use(createFetch({ address: survivor.url }));

  const seen = new Set<string>();
  const watch = await request(toSurvivor, 'GET', `${services}?watch=1`);
  const all = Promise.withResolvers<void>();
  let expected = Number.POSITIVE_INFINITY;
  const watching = (async () => {
    let rest = '';
    for await (const chunk of watch.body as AsyncIterable<Uint8Array>) {
      rest += Buffer.from(chunk).toString('utf8');
      const lines = rest.split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        const { type, object } = JSON.parse(line) as { type: string; object: Service };
        assert.equal(type, 'ADDED');
        assert.ok(!seen.has(object.metadata.uid), 'each once');
        seen.add(object.metadata.uid);
      }
      if (seen.size >= expected) all.resolve();
    }
  })().catch(all.reject);

  const acknowledged = new Map<string, Service>();
  let ofVictim = 0;
  const write = async (fetch: HttpHandler, name: string) => {
    const spec = { type: 'NodePort', selector: { a: 'b' }, ports: [{ port: 80 }] };
    const { code, object } = await call(fetch, 'POST', services, { metadata: { name }, spec });
    if (code === 201) acknowledged.set(name, object as Service);
    return code;
  };
  const lane = async (prefix: string) => {
    for (let i = 0; i < 1000; i++) {
      assert.equal(await write(toVictim, `${prefix}-${i}`), 201);
      if (++ofVictim === 25) victim.child.kill('SIGKILL');
    }
  };
  const lanes = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((prefix) => lane(`victim-${prefix}`));
  const surviving = (async () => {
    const codes: number[] = [];
    for (let i = 0; i < 60; i++) codes.push(await write(toSurvivor, `survivor-${i}`));
    return codes;
  })();
  const ends = await Promise.allSettled(lanes);
  await victim.kill('SIGKILL');
  assert.ok(
    ends.every(({ status }) => status === 'rejected'),
    'every lane was cut off',
  );
  assert.deepEqual(await surviving, Array(60).fill(201));

  const { object: list } = await call(toSurvivor, 'GET', services);
  const items = new Map((list as { items: Service[] }).items.map((item) => [item.metadata.name, item]));
  for (const [name, { metadata, spec }] of acknowledged) {
    assert.equal(items.get(name)?.metadata.uid, metadata.uid, name);
    assert.deepEqual(items.get(name)?.spec, spec, name);
  }
  // What was on its way when the server died may be there or not: once at most in each lane.
  assert.ok(items.size - 1 - acknowledged.size <= lanes.length);
  const specs = [...items.values()].map(({ spec }) => spec);
  assert.equal(new Set(specs.map(({ clusterIP }) => clusterIP)).size, items.size, 'each address once');
  const nodePorts = specs.flatMap(({ ports }) => ports.map(({ nodePort }) => nodePort)).filter(Boolean);
  assert.equal(new Set(nodePorts).size, nodePorts.length, 'each port once');
  expected = items.size;
  if (seen.size >= expected) all.resolve();
  await all.promise;

  // Another server in its place sees the same, and writes.
  const third = scope.use(await startApiserverProcess(etcd.clientUrl));
  const toThird = scope.use(createFetch({ address: third.url }));
  const { object: again } = await call(toThird, 'GET', services);
  assert.equal((again as { items: Service[] }).items.length, items.size);
  assert.equal(await write(toThird, 'third'), 201);
  await survivor.kill('SIGKILL');
  await watching;
});
