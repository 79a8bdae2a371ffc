/** Puts the suite's images into a registry: made from the machine's static busybox and the built-in image's program. */
import { readFileSync } from 'node:fs';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { MediaType } from '#api-oci/image-spec.ts';
import { findHello } from '#host-linux/helper/binary.ts';
import { hostPlatform } from '#image/platform.ts';
import { busyboxApplets, requireBusybox } from '#testkit/container-bundle.ts';
import { type LayerFile, makeLayer, pushImage, pushIndex } from '#testkit/registry-process.ts';
import { testImages } from './under-test.suite.ts';

/** A sandbox image for CRIs that need one. */
export const pauseImage = 'test/pause:1';

export async function pushTestImages(address: string): Promise<void> {
  const platform = hostPlatform(process.arch);
  const box: Record<string, LayerFile> = { 'bin/busybox': { bytes: readFileSync(requireBusybox()), mode: 0o755 } };
  for (const name of busyboxApplets) box[`bin/${name}`] = { link: 'busybox' };
  const accounts: Record<string, LayerFile> = {
    'etc/passwd': { bytes: 'root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n' },
    'etc/group': { bytes: 'root:x:0:\nalice:x:1000:\n' },
    'tmp/.keep': { bytes: '' },
  };
  const [first, second] = [makeLayer(box), makeLayer(accounts)];
  const layers = [
    { mediaType: MediaType.ociLayerGzip, blob: gzipSync(first), tar: first },
    { mediaType: MediaType.ociLayerZstd, blob: zstdCompressSync(second), tar: second },
  ];
  const config = { Env: ['PATH=/bin'], Cmd: ['sh'] };
  await pushImage(address, testImages.box, { layers, platform, config });

  const small = makeLayer({ file: { bytes: 'foreign' } });
  const foreign = await pushImage(address, 'test/foreign:s390x', {
    layers: [{ mediaType: MediaType.ociLayer, blob: small, tar: small }],
    platform: { os: 'linux', architecture: 's390x' },
    config,
  });
  // An index is of one repository: its manifests have to be there.
  const here = await pushImage(address, 'test/index:here', {
    layers,
    platform,
    config: { ...config, Labels: { a: 'b' } },
  });
  const there = await pushImage(address, 'test/index:there', {
    layers: [{ mediaType: MediaType.ociLayer, blob: small, tar: small }],
    platform: { os: 'linux', architecture: 's390x' },
    config,
  });
  await pushIndex(address, testImages.index, [there.manifest, here.manifest]);
  await pushIndex(address, testImages.foreign, [foreign.manifest]);

  const pause = makeLayer({ pause: { bytes: readFileSync(findHello()), mode: 0o755 } });
  await pushImage(address, pauseImage, {
    layers: [{ mediaType: MediaType.ociLayer, blob: pause, tar: pause }],
    platform,
    config: { Entrypoint: ['/pause'] },
  });
}
