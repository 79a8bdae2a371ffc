/** Images on a machine without a registry: packed, imported, listed by every name, removed without a trace. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { MediaType } from '#api-oci/image-spec.ts';
import { systemClock } from '#host/clock.ts';
import { ContentStore, digestOf } from '#image/content-store.ts';
import { ContentError } from '#image/error.ts';
import { ImageStore } from '#image/image-store.ts';
import { openMetadataStore } from '#image/metadata-store.ts';
import { folderEntries } from '#image/pack.ts';
import { hostPlatform } from '#image/platform.ts';
import { defaultUnpackLimits } from '#image/unpack.ts';
import { tarEntry } from '#wire/tar/entry.ts';
import { encodeTarHeader, tarPadding, tarTrailerBytes } from '#wire/tar/writer.ts';
import { openOverlaySnapshotter } from '../snapshots/overlay.ts';
import { ImageService } from './image-service.ts';

const folder = mkdtempSync(join(tmpdir(), 'wherry-images-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

async function open(root = join(folder, String(count++))) {
  const metadata = await openMetadataStore(join(root, 'meta'));
  let unique = 0;
  const images = new ImageService({
    content: await ContentStore.open(join(root, 'content'), metadata, systemClock),
    images: new ImageStore(metadata, systemClock, 'k8s.io'),
    snapshots: await openOverlaySnapshotter({ root: join(root, 'snapshots'), metadata, clock: systemClock }),
    platform: hostPlatform(process.arch),
    openRepository: () => {
      throw new ContentError('Unavailable', 'no registry here');
    },
    uniqueName: () => String(unique++),
    unpackLimits: defaultUnpackLimits,
  });
  await images.recover();
  return { images, root };
}

function tar(files: Record<string, Uint8Array | string>): Buffer {
  const chunks: Uint8Array[] = [];
  for (const [name, data] of Object.entries(files)) {
    const bytes = Buffer.from(data);
    chunks.push(encodeTarHeader(tarEntry({ name, size: bytes.length })), bytes, Buffer.alloc(tarPadding(bytes.length)));
  }
  return Buffer.concat([...chunks, Buffer.alloc(tarTrailerBytes)]);
}

test('a folder becomes an image, the same on every machine and day, and goes without a trace', async () => {
  const source = join(folder, 'source');
  mkdirSync(join(source, 'bin'), { recursive: true });
  writeFileSync(join(source, 'bin/app'), 'app');
  chmodSync(join(source, 'bin/app'), 0o755);
  symlinkSync('bin/app', join(source, 'app'));
  const { images, root } = await open();
  const pack = (name: string) =>
    images.pack(name, { config: { Entrypoint: ['/app'] }, entries: folderEntries(source) });
  const image = await pack('mine/app:1');
  writeFileSync(join(source, 'bin/app'), 'app');
  const again = await pack('mine/app:2');
  assert.equal(again.id, image.id);
  assert.deepEqual(again.tags, ['docker.io/mine/app:1', 'docker.io/mine/app:2']);
  assert.deepEqual(again.digests, [`docker.io/mine/app@${image.manifestDescriptor.digest}`]);
  for (const name of ['mine/app:1', image.id, image.id.slice(7, 20), again.digests[0]!])
    assert.equal((await images.find(name))?.id, image.id, name);
  assert.equal(await images.find('mine/app'), undefined);

  const { snapshots } = images.deps;
  const lower = snapshots.layerFolders(image.chainId)[0]!;
  assert.equal(readFileSync(join(lower, 'app'), 'utf8'), 'app');

  const reopened = await open(root);
  assert.equal((await reopened.images.find('mine/app:1'))?.chainId, image.chainId);

  await images.untag('mine/app:1');
  assert.ok(existsSync(lower));
  await images.untag('mine/app:2');
  assert.deepEqual(await images.list(), []);
  assert.equal(existsSync(lower), false);
  assert.deepEqual(readdirSync(join(root, 'content/blobs/sha256')), []);
  assert.deepEqual(readdirSync(join(root, 'snapshots/snapshots')), []);
  assert.equal(await images.remove('mine/app:1'), false);
});

const layers = [tar({ 'etc/a': 'a', 'etc/b': 'b' }), tar({ 'etc/.wh.a': '', 'etc/c': 'c' })];
const config = Buffer.from(
  JSON.stringify({
    architecture: hostPlatform(process.arch).architecture,
    os: 'linux',
    config: { Cmd: ['/x'] },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) },
  }),
);

test('archives of docker save and of the OCI layout give the same image', async () => {
  const docker = join(folder, 'docker.tar');
  writeFileSync(
    docker,
    tar({
      'cfg.json': config,
      'one/layer.tar': layers[0]!,
      'two/layer.tar': layers[1]!,
      'manifest.json': JSON.stringify([
        { Config: 'cfg.json', RepoTags: ['x:1', 'h.io/y:2'], Layers: ['one/layer.tar', 'two/layer.tar'] },
      ]),
    }),
  );
  const packed = layers.map((layer) => gzipSync(layer));
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: MediaType.ociConfig, digest: digestOf(config), size: config.length },
      layers: packed.map((layer) => ({
        mediaType: MediaType.ociLayerGzip,
        digest: digestOf(layer),
        size: layer.length,
      })),
    }),
  );
  const layout = (blob: Buffer) =>
    tar({
      'oci-layout': '{"imageLayoutVersion":"1.0.0"}',
      ...Object.fromEntries(
        [...packed, config, manifest].map((bytes) => [`blobs/sha256/${digestOf(bytes).slice(7)}`, bytes]),
      ),
      [`blobs/sha256/${digestOf(config).slice(7)}`]: blob,
      'index.json': JSON.stringify({
        schemaVersion: 2,
        manifests: [{ mediaType: MediaType.ociManifest, digest: digestOf(manifest), size: manifest.length }],
      }),
    });
  const oci = join(folder, 'oci.tar.gz');
  writeFileSync(oci, gzipSync(layout(config)));
  const evil = join(folder, 'evil.tar');
  writeFileSync(evil, layout(Buffer.from(config.toString().replace('/x', '/y'))));

  const { images } = await open();
  const [fromDocker] = await images.import(docker);
  assert.deepEqual(fromDocker!.tags, ['docker.io/library/x:1', 'h.io/y:2']);
  await assert.rejects(images.import(oci), /without a name/);
  const [fromOci] = await images.import(oci, { name: 'z' });
  assert.equal(fromOci!.id, fromDocker!.id);
  assert.equal(fromOci!.chainId, fromDocker!.chainId);
  const [top, bottom] = images.deps.snapshots.layerFolders(fromOci!.chainId);
  assert.deepEqual(readdirSync(join(bottom!, 'etc')), ['a', 'b']);
  assert.deepEqual(readdirSync(join(top!, 'etc')), ['a', 'c']);
  await assert.rejects(images.import(evil, { name: 'evil' }), { code: 'FailedPrecondition' });
  await images.remove('z');
  assert.deepEqual(await images.list(), []);
  assert.deepEqual(images.deps.snapshots.list(), []);
});

test('an image whose layer is not what its configuration says leaves nothing half done', async () => {
  const { images } = await open();
  const path = join(folder, 'wrong.tar');
  writeFileSync(
    path,
    tar({
      'cfg.json': config,
      'one/layer.tar': layers[0]!,
      'two/layer.tar': tar({ other: '' }),
      'manifest.json': JSON.stringify([
        { Config: 'cfg.json', RepoTags: ['x:1'], Layers: ['one/layer.tar', 'two/layer.tar'] },
      ]),
    }),
  );
  await assert.rejects(images.import(path), /wrong diff id calculated on extraction/);
  await assert.rejects(images.pull('Wrong'), {
    message:
      'failed to parse image reference "Wrong": invalid reference format: repository name (library/Wrong) must be lowercase',
  });
  await images.collect();
  assert.deepEqual(images.deps.snapshots.list(), []);
  assert.deepEqual(images.deps.content.list(), []);
});
