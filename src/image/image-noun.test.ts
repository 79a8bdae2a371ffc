/** References, digests, platforms and the reading of manifests: what users write, in upstream's words when it is wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestProblem } from '#api-oci/digest.ts';
import { type Descriptor, MediaType } from '#api-oci/image-spec.ts';
import { ImageFormatError, parseImage, parseManifest } from '#api-oci/parse-image.ts';
import { chooseManifest, formatPlatform, hostPlatform } from './platform.ts';
import { formatReference, parseReference } from './reference.ts';

const hex = 'a'.repeat(64);

test('what users write is normalised as Docker made common', () => {
  for (const [text, full] of [
    ['busybox', 'docker.io/library/busybox:latest'],
    ['wherry/hello:1', 'docker.io/wherry/hello:1'],
    ['index.docker.io/busybox', 'docker.io/library/busybox:latest'],
    ['localhost/a', 'localhost/a:latest'],
    ['localhost:5000/a/b:c', 'localhost:5000/a/b:c'],
    ['registry.k8s.io/pause:3.10', 'registry.k8s.io/pause:3.10'],
    [`a@sha256:${hex}`, `docker.io/library/a@sha256:${hex}`],
    [`a:1@sha256:${hex}`, `docker.io/library/a@sha256:${hex}`],
    ['[::1]:5000/x', '[::1]:5000/x:latest'],
    ['a__b/c--d.e', 'docker.io/a__b/c--d.e:latest'],
    ['Host/name', 'Host/name:latest'],
  ] as const)
    assert.equal(formatReference(parseReference(text)), full);
});

test('malformed references are refused in the words of distribution/reference', () => {
  for (const [text, message] of [
    ['', 'invalid reference format'],
    ['Busybox', 'invalid reference format: repository name (library/Busybox) must be lowercase'],
    ['a/Busybox:1', 'invalid reference format: repository name (a/Busybox) must be lowercase'],
    [hex, `invalid repository name (${hex}), cannot specify 64-byte hexadecimal strings`],
    ['a..b', 'invalid reference format'],
    ['a:', 'invalid reference format'],
    ['a@sha256:00', 'invalid reference format'],
    ['a//b', 'invalid reference format'],
    [`h.x/${'a'.repeat(256)}`, 'repository name must not be more than 255 characters'],
  ] as const)
    assert.throws(() => parseReference(text), { code: 'InvalidArgument', message });
});

test('digests that cannot be verified are named', () => {
  assert.equal(digestProblem(`sha256:${hex}`), undefined);
  assert.equal(digestProblem('sha256:aa'), 'invalid checksum digest length');
  assert.equal(digestProblem(`sha256:${'A'.repeat(64)}`), 'invalid checksum digest format');
  assert.equal(digestProblem(`md5:${hex}`), 'unsupported digest algorithm');
  assert.equal(digestProblem('nothing'), 'invalid checksum digest format');
});

test('the best image of an index is the one for this machine', () => {
  const entry = (architecture: string, variant?: string): Descriptor => ({
    mediaType: MediaType.ociManifest,
    digest: `sha256:${hex}` as Descriptor['digest'],
    size: 1,
    platform: { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) },
  });
  const all = [entry('386'), entry('arm', 'v7'), entry('arm64', 'v8'), entry('amd64'), entry('s390x')];
  assert.equal(chooseManifest(all, hostPlatform('x64')), all[3]);
  assert.equal(chooseManifest(all, hostPlatform('arm64')), all[2]);
  assert.equal(chooseManifest([all[0]!, all[4]!], hostPlatform('x64')), all[0]);
  assert.equal(chooseManifest([all[4]!], hostPlatform('x64')), undefined);
  assert.equal(formatPlatform({ os: 'Linux', architecture: 'x86_64' }), 'linux/amd64');
});

test('manifests and configurations of the wrong shape are refused by field', () => {
  const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
  const config = { mediaType: MediaType.ociConfig, digest: `sha256:${hex}`, size: 2 };
  assert.deepEqual(parseManifest(bytes({ schemaVersion: 2, config, layers: [], unknown: 1 })), {
    schemaVersion: 2,
    config,
    layers: [],
  });
  for (const wrong of [
    { schemaVersion: 1, config, layers: [] },
    { schemaVersion: 2, config: { ...config, size: -1 }, layers: [] },
    { schemaVersion: 2, config: { ...config, digest: '../../etc/passwd' }, layers: [] },
    { schemaVersion: 2, config, layers: {} },
    [],
  ])
    assert.throws(() => parseManifest(bytes(wrong)), ImageFormatError);
  assert.throws(() => parseManifest(Buffer.from('{')), ImageFormatError);
  assert.deepEqual(parseImage(bytes({ os: 'linux', architecture: 'amd64', config: { Env: null, Cmd: ['a'] } })), {
    os: 'linux',
    architecture: 'amd64',
    config: { Cmd: ['a'] },
    rootfs: { type: 'layers', diff_ids: [] },
    history: [],
  });
});
