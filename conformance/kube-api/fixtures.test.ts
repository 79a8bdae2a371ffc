/**
 * Upstream's wire fixtures, all 185 of them: each is one value in JSON and in YAML, and is written in both without loss. What is served goes through its
 * schema, strictly, and comes out the same; what has a protobuf form is read and written in it, too.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';
import { kinds } from '#api-kube/facts.ts';
import { encodeValue } from '#kube-apiserver/serialize/representation.ts';
import { decode } from '#kube-machinery/built-in-schemas.ts';
import { encodeMessage, envelope, hasProtobuf } from '#kube-machinery/protobuf-encoder.ts';
import { decodeProtobufObject } from '#kube-machinery/protobuf-object.ts';
import { parseJson } from '#kube-machinery/strict-json.ts';
import { parseYaml } from '#kube-machinery/yaml.ts';

const folder = `${process.env['WHERRY_FIXTURES'] ?? '../shared/fixtures'}/kubernetes-api/v1.36`;

test('each of the 185 fixtures is one value in JSON and YAML, and is written back without loss', {
  skip: existsSync(folder) ? false : 'no fixtures',
}, () => {
  const counts = { fixtures: 0, strict: 0, protobuf: 0 };
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
    counts.fixtures++;
    const text = readFileSync(`${folder}/${file}`, 'utf8');
    const value = parseJson(text).value as { apiVersion?: string; kind?: string };
    const yaml = readFileSync(`${folder}/${file.replace('.json', '.yaml')}`, 'utf8');
    assert.deepEqual(parseYaml(yaml).value, value, `${file}: YAML and JSON`);
    for (const pretty of [false, true]) {
      const json = encodeValue(value, { format: 'json', pretty }).body.toString('utf8');
      // Upstream's own text, but for the white space.
      assert.equal(withoutSpace(json), withoutSpace(text), `${file}: JSON written`);
    }
    const written = encodeValue(value, { format: 'yaml', pretty: false }).body.toString('utf8');
    assert.deepEqual(parseYaml(written).value, value, `${file}: YAML written`);

    const { apiVersion = '', kind = '' } = value;
    const [version = '', group = ''] = apiVersion.split('/').reverse();
    const gvk = { group, version, kind };
    if (kinds[`${group}/${version}/${kind}`] === undefined) continue;
    counts.strict++;
    const decoded = decode(gvk, value, 'Strict', (message) => assert.fail(`${file}: ${message}`));
    assert.equal(JSON.stringify(decoded), JSON.stringify(value), `${file}: through the schema`);
    if (!hasProtobuf(gvk)) continue;
    counts.protobuf++;
    const bytes = readFileSync(`${folder}/${file.replace('.json', '.pb')}`);
    assert.deepEqual(decodeProtobufObject(bytes), value, `${file}: protobuf`);
    assert.ok(envelope(apiVersion, kind, encodeMessage(gvk, decoded)).equals(bytes), `${file}: protobuf written`);
  }
  assert.deepEqual(counts, { fixtures: 185, strict: 70, protobuf: 70 });
});

/** JSON without the white space between its tokens. */
function withoutSpace(json: string): string {
  return json.replace(/("(?:[^"\\]|\\.)*")|\s+/g, (_, string: string | undefined) => string ?? '');
}
