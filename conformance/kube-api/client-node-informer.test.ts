/**
 * The informer of `@kubernetes/client-node`, unchanged, through bad days: its watch ends, its connection breaks, and the past that it asks for is gone. In the
 * end it knows what the server knows, and its handlers were told of each change once.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { CoreV1Api, KubeConfig, makeInformer, type V1ConfigMap } from '@kubernetes/client-node';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';
import type { HttpHandler } from '#transport/http.ts';
import { listen } from '#transport/listen.ts';

const namespace = 'default';
const timeout = 60_000;

/** Watches that can be ended, as a server's time limit does, or broken, as a lost connection does. */
function interruptible(handler: () => HttpHandler) {
  const standing = new Set<(broken: boolean) => void>();
  async function* until(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const cut = Promise.withResolvers<IteratorResult<Uint8Array>>();
    const interrupt = (broken: boolean) =>
      broken ? cut.reject(new Error('the connection is lost')) : cut.resolve({ done: true, value: undefined });
    standing.add(interrupt);
    const iterator = body[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await Promise.race([iterator.next(), cut.promise]);
        if (next.done) return;
        yield next.value;
      }
    } finally {
      standing.delete(interrupt);
      void iterator.return?.();
    }
  }
  const component = { user: 'admin', groups: ['system:masters'] };
  const serve: HttpHandler = async (request) => {
    const response = await handler()({ ...request, peer: { ...request.peer, component } });
    const { body } = response;
    return body instanceof Uint8Array || !request.target.includes('watch=true')
      ? response
      : { ...response, body: until(body) };
  };
  const interrupt = (broken: boolean) => {
    for (const one of [...standing]) one(broken);
  };
  return { serve, interrupt, watches: () => standing.size };
}

async function eventually(what: string, test: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!test()) {
    if (Date.now() > deadline) assert.fail(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function setUp(scope: Scope) {
  const first = await startInMemoryApiserver(scope);
  let { handler } = first.server;
  const { serve, interrupt, watches } = interruptible(() => handler);
  const listener = scope.use(await listen({ address: { host: '127.0.0.1', port: 0 }, handler: serve }));
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'c', server: `http://127.0.0.1:${listener.port}`, skipTLSVerify: true },
    { name: 'u' },
  );
  const core = config.makeApiClient(CoreV1Api);
  const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () =>
    core.listNamespacedConfigMap({ namespace }),
  );
  const told: string[] = [];
  const note = (what: string) => (object: V1ConfigMap) => told.push(`${what} ${object.metadata?.name}`);
  informer.on('add', note('add'));
  informer.on('update', note('update'));
  informer.on('delete', note('delete'));
  const errors: unknown[] = [];
  // As its documentation says to: begin again after an error.
  let over = false;
  informer.on('error', (error) => {
    errors.push(error);
    if (!over) setTimeout(() => void informer.start(), 10);
  });
  scope.defer(() => {
    over = true;
    return informer.stop();
  });
  const create = (name: string) => core.createNamespacedConfigMap({ namespace, body: { metadata: { name } } });
  const remove = (name: string) => core.deleteNamespacedConfigMap({ namespace, name });
  const moveTo = (next: HttpHandler) => {
    handler = next;
  };
  return { first, core, informer, told, errors, create, remove, interrupt, watches, moveTo };
}

test('a watch that ends goes on where it was: no change is missed, none is told twice', { timeout }, async () => {
  await using scope = new Scope();
  const { informer, told, errors, create, remove, interrupt, watches } = await setUp(scope);
  await create('a');
  await informer.start();
  await eventually('the watch stands', () => watches() === 1);
  interrupt(false);
  await create('b');
  await remove('a');
  await eventually('all is told', () => told.length === 3);
  await eventually('the watch stands again', () => watches() === 1);
  interrupt(false);
  await create('c');
  await eventually('the last is told', () => told.length === 4);
  assert.deepEqual(told, ['add a', 'add b', 'delete a', 'add c']);
  assert.deepEqual(errors, []);
  assert.deepEqual(
    informer
      .list()
      .map(({ metadata }) => metadata?.name)
      .sort(),
    ['b', 'c'],
  );
});

test('a connection that breaks is told as an error, and begun again', { timeout }, async () => {
  await using scope = new Scope();
  const { informer, told, errors, create, remove, interrupt, watches } = await setUp(scope);
  await create('a');
  await informer.start();
  await eventually('the watch stands', () => watches() === 1);
  interrupt(true);
  await create('b');
  await remove('a');
  await eventually(
    'all is known',
    () =>
      informer
        .list()
        .map(({ metadata }) => metadata?.name)
        .join() === 'b',
  );
  assert.ok(errors.length > 0);
  assert.deepEqual(told.filter((what) => what === 'add b').length, 1);
  assert.ok(told.includes('delete a'));
});

test('a past that is gone (410) is read anew: what came and went meanwhile is told', { timeout }, async () => {
  await using scope = new Scope();
  const { first, informer, told, create, remove, interrupt, watches, moveTo } = await setUp(scope);
  await create('a');
  await create('b');
  await informer.start();
  await eventually('the watch stands', () => watches() === 1);
  // Another server takes over, which knows nothing of before, and neither does the store.
  const gone = Promise.withResolvers<HttpHandler>();
  moveTo(async (request) => (await gone.promise)(request));
  interrupt(false);
  await first.call('DELETE', `/api/v1/namespaces/${namespace}/configmaps/a`);
  await first.call('POST', `/api/v1/namespaces/${namespace}/configmaps`, { body: { metadata: { name: 'c' } } });
  const channel = scope.use(first.etcd.connect());
  const etcd = scope.use(createEtcdClient(channel, systemClock));
  await etcd.compact({ revision: first.server.revision(), physical: true });
  const second = await startInMemoryApiserver(scope, first.etcd);
  gone.resolve(second.server.handler);
  await eventually(
    'all is known',
    () =>
      informer
        .list()
        .map(({ metadata }) => metadata?.name)
        .sort()
        .join() === 'b,c',
  );
  assert.deepEqual(
    told.filter((what) => what !== 'update b'),
    ['add a', 'add b', 'delete a', 'add c'],
  );
  await eventually('the watch stands again', () => watches() === 1);
  await remove('b');
  await eventually('the last is told', () => told.at(-1) === 'delete b');
});
