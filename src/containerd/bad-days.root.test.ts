/** Bad days of images: a full disk, a pull that is given up, a broken connection. Nothing stays behind, and it works afterwards. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MediaType } from '#api-oci/image-spec.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { findHelper } from '#host-linux/helper/binary.ts';
import { Zygote } from '#host-linux/helper/zygote.ts';
import { unmount } from '#host-linux/mount.ts';
import { digestOf } from '#image/content-store.ts';
import { hostPlatform } from '#image/platform.ts';
import { makeLayer } from '#testkit/registry-process.ts';
import { type Containerd, startContainerd } from './start.ts';

const limit = { timeout: 120_000 };
const folder = mkdtempSync(join(tmpdir(), 'wherry-bad-'));
/** A disk of 24 MB. */
const disk = join(folder, 'disk');
const layer = makeLayer({ big: { bytes: Buffer.alloc(6 << 20, 'x') } });
const blobs = new Map<string, Buffer>();

let helper: Zygote;
let daemon: Containerd;
let registry: Server;
let address: string;
/** How a blob's answer is cut: after so many bytes, and how often. */
let cut = { afterBytes: 0, times: 0, hang: false };

before(async () => {
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk]);
  helper = new Zygote(findHelper());
  registry = createServer((request, response) => {
    const name = request.url!.split('/').at(-1)!;
    const bytes = blobs.get(name);
    if (bytes === undefined) {
      response.writeHead(404).end();
      return;
    }
    const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': bytes.length - start,
      'docker-content-digest': digestOf(bytes),
      'content-type': MediaType.ociManifest,
    });
    if (request.method === 'HEAD') response.end();
    else if (request.url!.includes('/blobs/') && cut.times > 0 && bytes.length > 1 << 20) {
      cut.times--;
      const hang = cut.hang;
      response.write(bytes.subarray(start, start + cut.afterBytes), () => !hang && request.socket.destroy());
    } else response.end(bytes.subarray(start));
  });
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
  address = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
  const config = Buffer.from(
    JSON.stringify({
      ...hostPlatform(process.arch),
      config: {},
      rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MediaType.ociManifest,
      config: { mediaType: MediaType.ociConfig, digest: digestOf(config), size: config.length },
      layers: [{ mediaType: MediaType.ociLayer, digest: digestOf(layer), size: layer.length }],
    }),
  );
  for (const bytes of [config, manifest, layer]) blobs.set(digestOf(bytes), bytes);
  blobs.set('1', manifest);
  daemon = await startContainerd({
    config: { root: join(disk, 'root'), state: join(folder, 'state'), version: '2.3.4', arch: process.arch },
    deps: {
      clock: systemClock,
      prng: systemPrng(),
      helper,
      network: {
        status: async () => ({ ready: true, reason: '', message: '' }),
        setup: async () => ({ ips: [] }),
        teardown: async () => {},
      },
      warn: (message, error) => assert.fail(`${message}: ${error}`),
    },
  });
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
  await helper[Symbol.asyncDispose]();
  registry.closeAllConnections();
  registry.close();
  unmount(disk);
  rmSync(folder, { recursive: true });
});

const freeBytes = () => statfsSync(disk).bavail * statfsSync(disk).bsize;
const contents = () => ({
  blobs: readdirSync(join(disk, 'root/io.containerd.content.v1.content/blobs/sha256')).length,
  snapshots: readdirSync(join(disk, 'root/io.containerd.snapshotter.v1.overlayfs/snapshots')).length,
});

test('a full disk fails the pull, leaves nothing, and the next pull works', limit, async () => {
  const before = contents();
  const ballast = join(disk, 'ballast');
  writeFileSync(ballast, Buffer.alloc(freeBytes() - (3 << 20)));
  await assert.rejects(daemon.images.pull(`${address}/x:1`), {
    message: new RegExp(
      `^failed to pull and unpack image "${address}/x:1": failed to copy: \\w+.*: no space left on device$`,
    ),
  });
  await daemon.images.collect();
  assert.deepEqual(contents(), before);
  // To the last byte: records cannot be written either.
  for (let bytes = freeBytes(), part = 0; bytes > 0; bytes = freeBytes(), part++)
    writeFileSync(join(disk, `more-${part}`), Buffer.alloc(bytes));
  await assert.rejects(daemon.images.pull(`${address}/x:1`), /no space left on device/);
  rmSync(ballast);
  for (const name of readdirSync(disk)) if (name.startsWith('more-')) rmSync(join(disk, name));
  const image = await daemon.images.pull(`${address}/x:1`);
  assert.equal(image.tags[0], `${address}/x:1`);
  await daemon.images.remove(image.id);
  assert.deepEqual(contents(), before);
});

test('a connection that breaks in the middle is taken up again where it broke', limit, async () => {
  cut = { afterBytes: 1 << 20, times: 3, hang: false };
  const image = await daemon.images.pull(`${address}/x:1`);
  assert.equal(cut.times, 0);
  await daemon.images.remove(image.id);
});

test('a pull that one of two callers gives up goes on; given up by both it ends', limit, async () => {
  const before = contents();
  cut = { afterBytes: 1 << 20, times: 1, hang: true };
  const [first, second] = [new AbortController(), new AbortController()];
  const pulls = [first, second].map(({ signal }) => daemon.images.pull(`${address}/x:1`, { signal }));
  const reason = new Error('given up');
  first.abort(reason);
  await assert.rejects(pulls[0]!, reason);
  second.abort(reason);
  await assert.rejects(pulls[1]!, reason);
  cut = { afterBytes: 0, times: 0, hang: false };
  await daemon.images.collect();
  assert.deepEqual(contents(), before);
  const image = await daemon.images.pull(`${address}/x:1`);
  await daemon.images.remove(image.id);
});
