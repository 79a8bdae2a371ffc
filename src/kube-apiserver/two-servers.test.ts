/** Two servers on one etcd: nothing but the store is between them, and either may be gone at any moment. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver as start } from '#testkit/in-memory-apiserver.ts';
import type { KubeObject } from './object.ts';

const timeout = 30_000;
const services = '/api/v1/namespaces/default/services';
const maps = '/api/v1/namespaces/default/configmaps';

const service = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { a: 'b' }, ports: [{ port: 80 }], ...spec },
});
const configMap = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });

type Server = Awaited<ReturnType<typeof start>>;
interface ServiceSpec {
  readonly clusterIP: string;
  readonly ports: readonly { readonly nodePort: number }[];
}

test('200 services made through both at once share neither address nor node port', { timeout }, async () => {
  await using scope = new Scope();
  const first = await start(scope);
  const second = await start(scope, first.etcd);
  const made = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const { call } = i % 2 === 0 ? first : second;
      const { code, object, text } = await call('POST', services, { body: service(`s${i}`, { type: 'NodePort' }) });
      assert.equal(code, 201, text);
      return object['spec'] as unknown as ServiceSpec;
    }),
  );
  assert.equal(new Set(made.map(({ clusterIP }) => clusterIP)).size, 200);
  assert.equal(new Set(made.map(({ ports }) => ports[0]!.nodePort)).size, 200);
  const taken = await second.call('POST', services, { body: service('twin', { clusterIP: made[0]!.clusterIP }) });
  assert.equal(taken.code, 422, taken.text);
  // What one gives back the other hands out.
  await first.call('DELETE', `${services}/s0`);
  const again = await second.call('POST', services, {
    body: service('twin', {
      type: 'NodePort',
      clusterIP: made[0]!.clusterIP,
      ports: [{ port: 80, nodePort: made[0]!.ports[0]!.nodePort }],
    }),
  });
  assert.equal(again.code, 201, again.text);
});

test("a watch on one sees the other's writes, each once and in order", { timeout }, async () => {
  await using scope = new Scope();
  const first = await start(scope);
  const second = await start(scope, first.etcd);
  const { object: listed } = await first.call('GET', maps);
  const abort = new AbortController();
  const watch = await first.send('GET', `${maps}?watch=1&resourceVersion=${listed.metadata.resourceVersion}`, {
    signal: abort.signal,
  });
  const count = 60;
  const written: string[] = [];
  const writing = (async () => {
    for (let i = 0; i < count; i++) {
      // Writes of both, one after the other.
      const { call } = i % 3 === 0 ? first : second;
      const { code, object, text } = await call('POST', maps, { body: configMap(`m${i}`) });
      assert.equal(code, 201, text);
      written.push(object.metadata.resourceVersion!);
    }
  })();
  const seen: string[] = [];
  for await (const object of addedOf(watch.body as AsyncIterable<Uint8Array>)) {
    seen.push(object.metadata.resourceVersion!);
    if (seen.length === count) break;
  }
  await writing;
  abort.abort();
  assert.deepEqual(seen, written);
  // Who reads after a write sees it, whichever server it went through.
  const { object } = await second.call('POST', maps, { body: configMap('last') });
  const { object: read } = await first.call('GET', `${maps}/last`);
  assert.equal(read.metadata.resourceVersion, object.metadata.resourceVersion);
});

test('a guarded update of both at once loses no increment', { timeout }, async () => {
  await using scope = new Scope();
  const servers = [await start(scope)];
  servers.push(await start(scope, servers[0]!.etcd));
  await servers[0]!.call('POST', maps, { body: { ...configMap('counter'), data: { n: '0' } } });
  const increment = async ({ call }: Server) => {
    for (;;) {
      const { object } = await call('GET', `${maps}/counter`);
      const n = Number((object['data'] as { n: string }).n) + 1;
      const { code, text } = await call('PUT', `${maps}/counter`, { body: { ...object, data: { n: String(n) } } });
      if (code === 200) return;
      assert.equal(code, 409, text);
    }
  };
  await Promise.all(Array.from({ length: 10 }, (_, i) => increment(servers[i % 2]!)));
  const { object } = await servers[1]!.call('GET', `${maps}/counter`);
  assert.equal((object['data'] as { n: string }).n, '10');
});

test('one is cut off in the middle of its writes: nothing acknowledged is lost, the other goes on', {
  timeout,
}, async () => {
  await using scope = new Scope();
  const survivor = await start(scope);
  const victims = new Scope();
  const victim = await start(victims, survivor.etcd);
  const { object: listed } = await survivor.call('GET', services);
  const abort = new AbortController();
  const watch = await survivor.send('GET', `${services}?watch=1&resourceVersion=${listed.metadata.resourceVersion}`, {
    signal: abort.signal,
  });
  const acknowledged = new Map<string, ServiceSpec>();
  const ofVictim = () => [...acknowledged.keys()].filter((name) => name.startsWith('victim')).length;
  const write = async ({ call }: Server, name: string) => {
    const { code, object } = await call('POST', services, { body: service(name, { type: 'NodePort' }) });
    if (code === 201) acknowledged.set(name, object['spec'] as unknown as ServiceSpec);
    if (ofVictim() === 10) await victim.cutOff();
    return code;
  };
  const through = async (server: Server, prefix: string, count: number) => {
    const codes: number[] = [];
    for (let i = 0; i < count; i++) codes.push(await write(server, `${prefix}${i}`).catch(() => 0));
    return codes;
  };
  const lanes = [0, 1, 2, 3].map((lane) => through(victim, `victim-${lane}-`, 20));
  const surviving = through(survivor, 'survivor-', 40);
  const codes = (await Promise.all(lanes)).flat();
  await victims[Symbol.asyncDispose]().catch(() => {});
  assert.ok(
    codes.some((code) => code !== 201),
    'the cut came in the middle',
  );
  assert.deepEqual(await surviving, Array(40).fill(201));

  const { object: after } = await survivor.call('GET', services);
  const items = new Map((after['items'] as KubeObject[]).map((item) => [item.metadata.name!, item]));
  for (const [name, spec] of acknowledged) assert.deepEqual(items.get(name)?.['spec'], spec, name);
  // Every object that is there came through the survivor's watch; each address has one owner.
  const seen = new Set<string>();
  for await (const { metadata } of addedOf(watch.body as AsyncIterable<Uint8Array>)) {
    seen.add(metadata.name!);
    if (seen.size === items.size - 1) break;
  }
  abort.abort();
  for (const name of acknowledged.keys()) assert.ok(seen.has(name), name);
  const specs = [...items.values()].map((item) => item['spec'] as unknown as ServiceSpec);
  assert.equal(new Set(specs.map(({ clusterIP }) => clusterIP)).size, items.size);
});

async function* addedOf(body: AsyncIterable<Uint8Array>): AsyncIterable<KubeObject> {
  let rest = '';
  for await (const chunk of body) {
    rest += Buffer.from(chunk).toString('utf8');
    const lines = rest.split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      const { type, object } = JSON.parse(line) as { type: string; object: KubeObject };
      assert.equal(type, 'ADDED');
      yield object;
    }
  }
}
