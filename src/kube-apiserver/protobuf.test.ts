/** Clients that ask for protobuf first, as kubelets and controllers do: every kind that has it, lists, watches, metadata, errors; the others in JSON. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { apiVersionOf, type Resource } from '#api-kube/resource.ts';
import { resources } from '#api-kube/resources.ts';
import { encodeMessage, envelope, hasProtobuf } from '#kube-machinery/protobuf-encoder.ts';
import { decodeProtobufObject, protobufType } from '#kube-machinery/protobuf-object.ts';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';
import { minimalObjects } from '#testkit/minimal-objects.ts';
import type { HttpResponse } from '#transport/http.ts';
import { Reader } from '#wire/protobuf/reader.ts';
import type { KubeObject } from './object.ts';

const accept = `${protobufType},application/json`;
const keyOf = ({ group, version, resource }: Resource) => `${resource}${group === '' ? '' : `.${group}`}/${version}`;
const typeOf = ({ headers }: HttpResponse) => headers.find(([name]) => name === 'content-type')?.[1];

/** Protobuf does not tell an empty list from none. */
function withoutEmptyLists(object: object): unknown {
  return JSON.parse(
    JSON.stringify(object, (_, value: unknown) => (Array.isArray(value) && value.length === 0 ? undefined : value)),
  );
}

async function bytesOf({ body }: HttpResponse): Promise<Buffer> {
  return Buffer.concat(body instanceof Uint8Array ? [body] : await Array.fromAsync(body));
}

/** Metadata and items of a list in its envelope. */
function listOf(bytes: Buffer): { readonly kind: string; readonly items: readonly Buffer[] } {
  const unknown = new Reader(bytes.subarray(4));
  let kind = '';
  const items: Buffer[] = [];
  while (unknown.position < unknown.end) {
    const tag = unknown.uint32();
    if (tag === 10) {
      const outer = unknown.enter();
      while (unknown.position < unknown.end)
        if (unknown.uint32() === 18) kind = unknown.string();
        else unknown.string();
      unknown.leave(outer);
    } else if (tag === 18) {
      const list = new Reader(unknown.bytesField());
      while (list.position < list.end) {
        const inner = list.uint32();
        if (inner === 18) items.push(list.bytesField());
        else list.skip(inner);
      }
    } else unknown.skip(tag);
  }
  return { kind, items };
}

test('every kind that has a protobuf form is read and listed in it', async (t) => {
  await using scope = new Scope();
  const { call, send } = await startInMemoryApiserver(scope);
  await call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'suite' } } });
  await call('POST', '/api/v1/namespaces/suite/serviceaccounts', { body: { metadata: { name: 'default' } } });
  for (const [index, [key, { body, name = (n: string) => n }]] of Object.entries(minimalObjects).entries()) {
    const resource = resources.find((one) => keyOf(one) === key)!;
    await t.test(key, async () => {
      const place = resource.namespaced ? '/namespaces/suite' : '';
      const collection = `/${resource.group === '' ? 'api' : 'apis'}/${apiVersionOf(resource)}${place}/${resource.resource}`;
      const n = `pb${index}`;
      const object = { metadata: { name: name(n) }, ...(typeof body === 'function' ? body(n) : body) };
      const created = await call('POST', collection, { body: object });
      assert.equal(created.code, 201, created.text);
      const path = `${collection}/${encodeURIComponent(name(n))}`;
      const { object: json } = await call('GET', path);
      const answer = await send('GET', path, { accept });
      if (!hasProtobuf(resource)) {
        assert.equal(typeOf(answer), 'application/json');
        return;
      }
      assert.equal(typeOf(answer), protobufType);
      assert.deepEqual(decodeProtobufObject(await bytesOf(answer)), withoutEmptyLists(json));
      const list = await send('GET', collection, { accept });
      assert.equal(typeOf(list), protobufType);
      const { kind, items } = listOf(await bytesOf(list));
      assert.equal(kind, resource.listKind);
      const found = items.map((item) => decodeProtobufObject(envelope(apiVersionOf(resource), resource.kind, item)));
      assert.ok(found.some((item) => (item as unknown as KubeObject).metadata.name === json.metadata.name));
    });
  }
});

test('a long list is made in slices and sent in pieces, and says the same', async () => {
  await using scope = new Scope();
  const { call, send } = await startInMemoryApiserver(scope);
  const maps = '/api/v1/namespaces/default/configmaps';
  const count = 400;
  for (let i = 0; i < count; i++)
    await call('POST', maps, { body: { metadata: { name: `m${i}` }, data: { text: 'x'.repeat(2000) } } });
  let turns = 0;
  let listed = false;
  const turn = () => {
    turns++;
    if (!listed) setImmediate(turn);
  };
  setImmediate(turn);
  const list = await send('GET', `${maps}?resourceVersion=0`, { accept });
  listed = true;
  // Others had their turns while it was made.
  assert.ok(turns >= 10, `${turns} turns`);
  assert.ok(!(list.body instanceof Uint8Array));
  const pieces = await Array.fromAsync(list.body);
  assert.ok(pieces.length > 2);
  const { kind, items } = listOf(Buffer.concat(pieces));
  assert.equal(kind, 'ConfigMapList');
  const names = items.map(
    (item) => (decodeProtobufObject(envelope('v1', 'ConfigMap', item)) as unknown as KubeObject).metadata.name,
  );
  assert.equal(new Set(names).size, count);
  // A short one is whole.
  const short = await send('GET', `${maps}?limit=2`, { accept });
  assert.ok(short.body instanceof Uint8Array);
});

test('a watch in protobuf has frames; bookmarks and the end of time come in them, too', {
  timeout: 10_000,
}, async () => {
  await using scope = new Scope();
  const { call, send } = await startInMemoryApiserver(scope);
  const maps = '/api/v1/namespaces/default/configmaps';
  await call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'default' } } });
  const { object: made } = await call('POST', maps, { body: { metadata: { name: 'a' }, data: { b: 'c' } } });
  const abort = new AbortController();
  const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
  const watch = await send('GET', `${maps}?${query}`, { accept, signal: abort.signal });
  assert.equal(typeOf(watch), `${protobufType};stream=watch`);
  const seen: (readonly [type: string, name: string | undefined])[] = [];
  let rest = Buffer.alloc(0);
  for await (const chunk of watch.body as AsyncIterable<Uint8Array>) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const frame = new Reader(rest.subarray(4, 4 + rest.readUInt32BE(0)));
      rest = rest.subarray(4 + rest.readUInt32BE(0));
      frame.uint32();
      const type = frame.string();
      frame.uint32();
      frame.enter();
      frame.uint32();
      const object = decodeProtobufObject(frame.bytesField()) as unknown as KubeObject;
      seen.push([type, object.metadata.name]);
      if (type === 'ADDED') assert.deepEqual(object, made);
      if (type === 'BOOKMARK') await call('DELETE', `${maps}/a`);
    }
    if (seen.length === 3) break;
  }
  abort.abort();
  assert.deepEqual(seen, [
    ['ADDED', 'a'],
    ['BOOKMARK', undefined],
    ['DELETED', 'a'],
  ]);
});

/** The first event of a watch. */
async function firstOf({ body }: HttpResponse): Promise<Buffer> {
  for await (const chunk of body as AsyncIterable<Uint8Array>) return Buffer.from(chunk);
  return assert.fail('the watch ended');
}

/** The object in the first frame of a watch. */
function framed(bytes: Buffer): unknown {
  const frame = new Reader(bytes.subarray(4, 4 + bytes.readUInt32BE(0)));
  frame.uint32();
  frame.string();
  frame.uint32();
  frame.enter();
  frame.uint32();
  return decodeProtobufObject(frame.bytesField());
}

test('two groups that share their objects each read and watch their own kind', { timeout: 10_000 }, async () => {
  await using scope = new Scope();
  const { call, send } = await startInMemoryApiserver(scope);
  await call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'default' } } });
  const core = '/api/v1/namespaces/default/events';
  const own = '/apis/events.k8s.io/v1/namespaces/default/events';
  const { object: before } = await call('GET', core);
  const involvedObject = { kind: 'Pod', name: 'p', namespace: 'default' };
  const { code } = await call('POST', core, { body: { metadata: { name: 'e' }, involvedObject, message: 'told' } });
  assert.equal(code, 201);
  const since = `watch=1&resourceVersion=${before.metadata.resourceVersion}`;
  for (const path of [core, own, core]) {
    const { object } = await call('GET', `${path}/e`);
    assert.equal(object['message'] ?? object['note'], 'told');
    assert.equal('message' in object, path === core);
    assert.deepEqual(decodeProtobufObject(await bytesOf(await send('GET', `${path}/e`, { accept }))), object);
    const { items } = listOf(await bytesOf(await send('GET', path, { accept })));
    const { apiVersion, kind } = object;
    assert.deepEqual(decodeProtobufObject(envelope(apiVersion, kind, items[0]!)), object);
    assert.deepEqual(framed(await firstOf(await send('GET', `${path}?${since}`, { accept }))), object);
    const line = (await firstOf(await send('GET', `${path}?${since}`))).toString();
    assert.deepEqual(JSON.parse(line), { type: 'ADDED', object });
  }
});

test('writes, errors and metadata', async () => {
  await using scope = new Scope();
  const { send } = await startInMemoryApiserver(scope);
  const gvk = { group: '', version: 'v1', kind: 'Namespace' };
  const body = envelope('v1', 'Namespace', encodeMessage(gvk, { metadata: { name: 'n' } }));
  const headers = [['content-type', protobufType]] as const;
  const created = await send('POST', '/api/v1/namespaces', { bytes: body, headers, accept: protobufType });
  assert.equal(created.status, 201);
  const made = decodeProtobufObject(await bytesOf(created)) as unknown as KubeObject;
  assert.equal(made.metadata.name, 'n');
  const missing = await send('GET', '/api/v1/namespaces/x', { accept: protobufType });
  assert.equal(typeOf(missing), protobufType);
  assert.ok((await bytesOf(missing)).includes('namespaces "x" not found'));
  const partial = `${protobufType};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1`;
  const list = listOf(await bytesOf(await send('GET', '/api/v1/namespaces', { accept: partial })));
  assert.equal(list.kind, 'PartialObjectMetadataList');
  assert.ok(list.items.length > 0);
});
