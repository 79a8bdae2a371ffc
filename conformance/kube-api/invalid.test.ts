/**
 * Objects that are refused, by the thousand words of upstream's validation: each row of the files in `invalid/` is sent to a real apiserver, and the whole
 * `Status` must be the one that kube-apiserver 1.36 answers. What is expected comes from upstream's sources and tests, never from our own answers.
 *
 * A file is `{ "RESOURCE": [row, ...] }`, the resource as `name.group/version`. A row sends the resource's minimal object with `create` merged over it
 * (RFC 7386); with `update`, the object is made first and then written back with `update` merged over it, under `path` if one is given.
 * A string `@repeat:N` stands for N letters. `causes` are `[reason, field, message]`, from which the rest of an Invalid status follows; anything else stands in `status` as it is.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { apiVersionOf, type Resource } from '#api-kube/resource.ts';
import { resources } from '#api-kube/resources.ts';
import { applyMergePatch } from '#kube-machinery/merge-patch.ts';
import type { Json } from '#kube-machinery/strict-json.ts';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';
import { minimalObjects } from '#testkit/minimal-objects.ts';

interface Row {
  readonly title: string;
  readonly create?: { readonly [field: string]: Json };
  readonly update?: { readonly [field: string]: Json };
  /** Below the object's own path, for updates: `status`, `approval`. */
  readonly path?: string;
  readonly query?: string;
  readonly causes?: readonly (readonly [reason: string, field: string, message: string])[];
  readonly status?: object;
}

const folder = new URL('./invalid/', import.meta.url);
const keyOf = ({ group, version, resource }: Resource) => `${resource}${group === '' ? '' : `.${group}`}/${version}`;
const byKey = new Map(resources.map((resource) => [keyOf(resource), resource]));
/** Each resource that validates something of its own has at least this many rows. */
const rowsMin = 3;

const tables: (readonly [key: string, rows: readonly Row[]])[] = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .flatMap((name) => Object.entries(JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Record<string, Row[]>));

type Server = Awaited<ReturnType<typeof startInMemoryApiserver>>;

/** What an Invalid status says, from its causes: the constructor of api/errors. */
function invalidStatus(resource: Resource, name: string, causes: NonNullable<Row['causes']>): object {
  const { kind } = resource;
  // An event of the new group is an event of the old one that is stored.
  const { group } = resource.storedAs ?? resource;
  const texts = [...new Set(causes.map(([, field, message]) => `${field}: ${message}`))];
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: `${group === '' ? kind : `${kind}.${group}`} ${JSON.stringify(name)} is invalid: ${texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`}`,
    reason: 'Invalid',
    details: {
      ...(name !== '' && { name }),
      ...(group !== '' && { group }),
      kind,
      causes: causes.map(([reason, field, message]) => ({ reason, message, field })),
    },
    code: 422,
  };
}

function spelledOut(value: Json): Json {
  const text = JSON.stringify(value).replace(/@repeat:(\d+)/g, (_, count) => 'x'.repeat(Number(count)));
  return JSON.parse(text) as Json;
}

async function refused({ call }: Server, resource: Resource, row: Row, index: number): Promise<void> {
  const minimal = minimalObjects[keyOf(resource)]!;
  const n = `row${'abcdefghijklmnopqrstuvwxyz'.charAt(index % 26)}${index}`;
  const name = minimal.name?.(n) ?? n;
  const body = typeof minimal.body === 'function' ? minimal.body(n) : (minimal.body ?? {});
  const metadata = { name, ...(resource.namespaced && { namespace: 'suite' }) };
  const object: Json = { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata, ...(body as object) };
  const prefix = resource.group === '' ? '/api' : '/apis';
  const collection = `${prefix}/${apiVersionOf(resource)}${resource.namespaced ? '/namespaces/suite' : ''}/${resource.resource}`;
  const wanted = applyMergePatch(object, spelledOut(row.create ?? {})) as { metadata?: { name?: string } };
  let answer = await call('POST', `${collection}${row.update ? '' : (row.query ?? '')}`, { body: wanted });
  let told = wanted.metadata?.name ?? '';
  if (row.update !== undefined) {
    assert.equal(answer.code, 201, answer.text);
    const next = applyMergePatch(answer.object as unknown as Json, row.update);
    const path = `${collection}/${encodeURIComponent(told)}${row.path === undefined ? '' : `/${row.path}`}${row.query ?? ''}`;
    answer = await call('PUT', path, { body: next });
    told = (next as { metadata: { name: string } }).metadata.name;
  }
  const { object: status } = answer;
  assert.deepEqual(status, row.status ?? invalidStatus(resource, told, row.causes!), answer.text);
}

test('upstream refuses these, in these words', { timeout: 120_000 }, async (t) => {
  await using scope = new Scope();
  const server = await startInMemoryApiserver(scope);
  await server.call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'suite' } } });
  await server.call('POST', '/api/v1/namespaces/suite/serviceaccounts', { body: { metadata: { name: 'default' } } });
  for (const [key, rows] of tables) {
    const resource = byKey.get(key);
    assert.ok(resource, `${key} is no resource`);
    for (const [index, row] of rows.entries())
      await t.test(`${key}: ${row.title}`, () => refused(server, resource, row, index));
  }
});

test('every resource that can be written has its rows', () => {
  const counts = new Map<string, number>();
  for (const [key, rows] of tables) counts.set(key, (counts.get(key) ?? 0) + rows.length);
  const few = Object.keys(minimalObjects).filter((key) => (counts.get(key) ?? 0) < rowsMin);
  assert.deepEqual(few, []);
});
