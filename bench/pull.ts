/**
 * How long an image of three gzip layers takes from a registry on this machine to unpacked: our daemon beside Debian's containerd, in one run, taking turns, the image
 * removed in between. Needs root, the reference packages containerd and docker-registry, and runc.
 *   bench/pull.ts [--times=N]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { ImageService, ImageSpec } from '#api-cri/gen/api.ts';
import { MediaType } from '#api-oci/image-spec.ts';
import { systemClock } from '#host/clock.ts';
import { hostPlatform } from '#image/platform.ts';
import type { Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { seededPrng } from '#std/prng.ts';
import { startContainerdProcess } from '#testkit/containerd-process.ts';
import { type LayerFile, makeLayer, pushImage, startRegistry } from '#testkit/registry-process.ts';
import { parseTarget } from '#transport/dial.ts';

const times = Number(/--times=(\d+)/.exec(process.argv.join(' '))?.[1] ?? 5);
if (process.getuid?.() !== 0) {
  process.stdout.write('pull: needs root\n');
  process.exit(0);
}

await using registry = await startRegistry();
const layers = [0, 1, 2].map((seed) => {
  const tar = someLayer(seed);
  return { mediaType: MediaType.ociLayerGzip, blob: gzipSync(tar, { level: 6 }), tar };
});
await pushImage(registry.address, 'bench/app:1', { layers, platform: hostPlatform(process.arch), config: {} });
const megabytes = (list: readonly { readonly length: number }[]) =>
  Math.round(list.reduce((sum, { length }) => sum + length, 0) / 1e6);

await using reference = await startContainerdProcess({ sandboxImage: 'none' });
const folder = mkdtempSync(join(tmpdir(), 'bench-pull-'));
const script = new URL('../src/testkit/our-containerd.ts', import.meta.url).pathname;
const daemon = spawn(process.execPath, [script, folder, `/wherry-bench-pull-${process.pid}`], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
await once(daemon.stdout, 'data');

const image = ImageSpec.create({ image: `${registry.address}/bench/app:1` });
const contenders = [
  { name: 'wherry', channel: connect(join(folder, 'containerd.sock')), pid: daemon.pid! },
  { name: 'containerd', channel: connect(reference.socket), pid: reference.child.pid! },
].map((contender) => ({ ...contender, ms: [] as number[] }));
for (let round = -1; round < times; round++)
  for (const { channel, ms } of contenders) {
    const start = performance.now();
    await channel.unary(ImageService.methods.pullImage, { image, auth: undefined, sandboxConfig: undefined });
    if (round >= 0) ms.push(performance.now() - start);
    await channel.unary(ImageService.methods.removeImage, { image });
  }

process.stdout.write(
  `${times} pulls each of ${megabytes(layers.map(({ blob }) => blob))} MB (${megabytes(layers.map(({ tar }) => tar))} MB unpacked), medians; Node ${process.version}\n`,
);
for (const { name, ms, pid } of contenders)
  process.stdout.write(
    `${name.padEnd(12)}${median(ms).toFixed(0).padStart(7)} ms, peak memory ${peakMegabytes(pid)} MB\n`,
  );
const [ours, theirs] = contenders as [(typeof contenders)[0], (typeof contenders)[0]];
process.stdout.write(`faster by   ${(median(theirs.ms) / median(ours.ms)).toFixed(1)}x\n`);
for (const { channel } of contenders) await channel[Symbol.asyncDispose]();
daemon.kill('SIGTERM');
await once(daemon, 'exit');
rmSync(folder, { recursive: true });

/** Files of many sizes, half of their bytes compressible. */
function someLayer(seed: number): Buffer {
  const prng = seededPrng(seed);
  const files: Record<string, LayerFile> = {};
  for (let i = 0; i < 1500; i++) {
    const size = 1000 + (prng.uint32() % (i % 50 === 0 ? 1_000_000 : 40_000));
    const bytes = Buffer.alloc(size);
    for (let at = 0; at + 8 < size; at += 8) bytes.writeUInt32LE(prng.uint32(), at);
    files[`usr/share/layer${seed}/${i % 37}/file-${i}`] = { bytes };
  }
  return makeLayer(files);
}

function connect(socket: string): Channel {
  return connectRpc({ target: parseTarget(`unix://${socket}`), clock: systemClock });
}

function peakMegabytes(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kilobytes) / 1000);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
