/** Objects in protobuf beside the same in JSON: upstream's wire fixtures, and bytes that are none. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { kinds } from '#api-kube/facts.ts';
import { fieldNumbers } from '#api-kube/field-numbers.ts';
import { decodeProtobufObject } from './protobuf-object.ts';
import { parseJson } from './strict-json.ts';

const fixtures = `${process.env['WHERRY_FIXTURES'] ?? '../shared/fixtures'}/kubernetes-api/v1.36`;

test("upstream's protobuf fixtures say what their JSON says", {
  skip: existsSync(fixtures) ? false : 'no fixtures',
}, () => {
  let checked = 0;
  for (const file of readdirSync(fixtures).filter((name) => name.endsWith('.pb'))) {
    const json = parseJson(readFileSync(`${fixtures}/${file.replace('.pb', '.json')}`, 'utf8')).value;
    const { apiVersion = '', kind = '' } = json as { apiVersion?: string; kind?: string };
    const slash = apiVersion.indexOf('/');
    const type = kinds[`${apiVersion.slice(0, Math.max(slash, 0))}/${apiVersion.slice(slash + 1)}/${kind}`];
    if (type === undefined || fieldNumbers[type] === undefined) continue;
    assert.deepEqual(decodeProtobufObject(readFileSync(`${fixtures}/${file}`)), json, file);
    checked++;
  }
  assert.ok(checked > 60, `${checked} kinds`);
});

test('bytes that are no object are refused', () => {
  assert.throws(() => decodeProtobufObject(Buffer.from('{}')), /expected prefix/);
  assert.throws(() => decodeProtobufObject(Buffer.from('k8s\0\x0a\x05abc')), /./);
});
