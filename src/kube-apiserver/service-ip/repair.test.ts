/** Reservations that a dead server left behind are given back; those in use, young or somebody else's stay. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { createEtcdClient } from '#etcd-client/client.ts';
import { utf8Encode } from '#std/bytes.ts';
import { Scope } from '#std/scope.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { startInMemoryApiserver as start } from '#testkit/in-memory-apiserver.ts';
import type { KubeObject } from '../object.ts';

const timeout = 20_000;
const services = '/api/v1/namespaces/default/services';
const addresses = '/apis/networking.k8s.io/v1/ipaddresses';

test('addresses and ports of services that are not there are given back', { timeout }, async () => {
  await using scope = new Scope();
  const clock = new VirtualClock();
  const { call, etcd } = await start(scope, undefined, clock);
  const make = (name: string, spec: object = {}) =>
    call('POST', services, {
      body: { metadata: { name }, spec: { type: 'NodePort', ports: [{ port: 80 }], ...spec } },
    });
  const owners = async () =>
    ((await call('GET', addresses)).object['items'] as (KubeObject & { spec: { parentRef: { name: string } } })[])
      .map(({ spec }) => spec.parentRef.name)
      .sort();
  assert.equal((await make('kept')).code, 201);
  const { object } = await make('lost');
  const { clusterIP, ports } = object['spec'] as unknown as {
    readonly clusterIP: string;
    readonly ports: readonly { readonly nodePort: number }[];
  };
  // As if its server had died before it wrote the service.
  const client = scope.use(createEtcdClient(scope.use(etcd.connect()), clock));
  await client.deleteRange({ key: utf8Encode('/registry/services/specs/default/lost') });
  assert.deepEqual(await owners(), ['kept', 'kubernetes', 'lost']);
  const again = { clusterIP, ports: [{ port: 80, nodePort: ports[0]!.nodePort }] };
  assert.equal((await make('again', again)).code, 422);

  for (let minute = 0; minute < 10; minute++) await clock.advance(60_000, turns);
  assert.deepEqual(await owners(), ['kept', 'kubernetes']);
  assert.equal((await call('GET', `${services}/kept`)).code, 200);
  const made = await make('again', again);
  assert.equal(made.code, 201, made.text);
});

async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise<void>(setImmediate);
}
