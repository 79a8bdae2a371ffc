/** Objects written as protobuf: upstream's wire fixtures to the byte, lists, statuses and frames of watches as their readers take them. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { Reader } from '#wire/protobuf/reader.ts';
import {
  encodeMessage,
  encodeStatus,
  envelope,
  hasProtobuf,
  listEnvelope,
  listItemHead,
  watchFrame,
} from './protobuf-encoder.ts';
import { decodeProtobufObject } from './protobuf-object.ts';
import { notFoundError } from './status.ts';
import { parseJson } from './strict-json.ts';

const fixtures = `${process.env['WHERRY_FIXTURES'] ?? '../shared/fixtures'}/kubernetes-api/v1.36`;

test("upstream's protobuf fixtures are written as upstream writes them", {
  skip: existsSync(fixtures) ? false : 'no fixtures',
}, () => {
  let checked = 0;
  const different: string[] = [];
  for (const file of readdirSync(fixtures).filter((name) => name.endsWith('.pb'))) {
    const json = parseJson(readFileSync(`${fixtures}/${file.replace('.pb', '.json')}`, 'utf8')).value;
    const { apiVersion = '', kind = '' } = json as { apiVersion?: string; kind?: string };
    const [version = '', group = ''] = apiVersion.split('/').reverse();
    const gvk = { group, version, kind };
    if (!hasProtobuf(gvk)) continue;
    const bytes = envelope(apiVersion, kind, encodeMessage(gvk, json as Record<string, unknown>));
    const upstream = readFileSync(`${fixtures}/${file}`);
    if (!bytes.equals(upstream)) different.push(`${file}: ${bytes.length} bytes, ${upstream.length} upstream`);
    assert.deepEqual(decodeProtobufObject(bytes), json, file);
    checked++;
  }
  assert.deepEqual(different, []);
  assert.ok(checked > 60, `${checked} kinds`);
});

test('a list holds its items; a frame of a watch its length, type and object; a status is one', () => {
  const gvk = { group: '', version: 'v1', kind: 'ConfigMap' };
  const item = encodeMessage(gvk, { metadata: { name: 'a' }, data: { b: 'c' } });
  const itemHead = listItemHead(item.length);
  const { head, tail } = listEnvelope(
    'v1',
    'ConfigMapList',
    { resourceVersion: '7', remainingItemCount: 300 },
    2 * (itemHead.length + item.length),
  );
  const whole = Buffer.concat([head, itemHead, item, itemHead, item, tail]);
  const unknown = new Reader(whole.subarray(4));
  assert.equal(unknown.uint32(), 10);
  unknown.bytesField();
  assert.equal(unknown.uint32(), 18);
  const list = unknown.bytesField();
  assert.deepEqual(whole, envelope('v1', 'ConfigMapList', list));
  const r = new Reader(list);
  assert.equal(r.uint32(), 10);
  const outer = r.enter();
  assert.equal(r.uint32(), 18);
  assert.equal(r.string(), '7');
  assert.equal(r.uint32(), 32);
  assert.equal(r.int64Number(), 300);
  r.leave(outer);
  assert.equal(r.uint32(), 18);
  assert.deepEqual(r.bytesField(), item);
  assert.equal(r.uint32(), 18);
  assert.deepEqual(r.bytesField(), item);
  assert.equal(r.position, r.end);

  const frame = watchFrame('ADDED', envelope('v1', 'ConfigMap', item));
  assert.equal(frame.readUInt32BE(0), frame.length - 4);
  const f = new Reader(frame.subarray(4));
  assert.equal(f.uint32(), 10);
  assert.equal(f.string(), 'ADDED');
  assert.equal(f.uint32(), 18);
  f.enter();
  assert.equal(f.uint32(), 10);
  assert.deepEqual(decodeProtobufObject(f.bytesField()), {
    kind: 'ConfigMap',
    apiVersion: 'v1',
    metadata: { name: 'a' },
    data: { b: 'c' },
  });

  const { status } = notFoundError({ group: 'apps', resource: 'deployments' }, 'd');
  const bytes = encodeStatus(status);
  for (const part of [status.message!, 'NotFound', 'deployments', 'Failure']) assert.ok(bytes.includes(part), part);
});
