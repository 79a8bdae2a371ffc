/**
 * How long a pod of one container takes through the CRI, from nothing to running and back: our daemon beside Debian's containerd with runc, in one run,
 * taking turns, each called over its unix socket. The pods are on the node's network, so that no CNI plugin counts. Needs root, the reference packages
 * containerd and docker-registry, runc and a static busybox.
 *   bench/cri.ts [--times=N]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ImageService, ImageSpec, RuntimeService } from '#api-cri/gen/api.ts';
import { pauseImage, pushTestImages } from '#containerd/cri/suite/test-images.suite.ts';
import { type CriUnderTest, Pod, podCgroup, testImages } from '#containerd/cri/suite/under-test.suite.ts';
import { systemClock } from '#host/clock.ts';
import { openCgroups } from '#host-linux/cgroups/open.ts';
import { removeEmptyCgroupTrees } from '#host-linux/cgroups/remove-empty.ts';
import type { Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { startContainerdProcess } from '#testkit/containerd-process.ts';
import { startRegistry } from '#testkit/registry-process.ts';
import { parseTarget } from '#transport/dial.ts';

const times = Number(/--times=(\d+)/.exec(process.argv.join(' '))?.[1] ?? 20);
if (process.getuid?.() !== 0) {
  process.stdout.write('cri: needs root\n');
  process.exit(0);
}

await using registry = await startRegistry();
await pushTestImages(registry.address);
await using reference = await startContainerdProcess({ sandboxImage: `${registry.address}/${pauseImage}` });
const folder = mkdtempSync(join(tmpdir(), 'bench-cri-'));
const script = new URL('../src/testkit/our-containerd.ts', import.meta.url).pathname;
const daemon = spawn(process.execPath, [script, folder, `/wherry-bench-cri-${process.pid}`], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
await once(daemon.stdout, 'data');

const contenders = [
  { name: 'wherry', cri: connect(join(folder, 'containerd.sock')) },
  { name: 'containerd', cri: connect(reference.socket) },
].map((contender) => ({ ...contender, up: [] as number[], exec: [] as number[], down: [] as number[] }));

for (const { cri } of contenders)
  await cri.channel.unary(ImageService.methods.pullImage, {
    image: ImageSpec.create({ image: `${registry.address}/${testImages.box}` }),
    auth: undefined,
    sandboxConfig: undefined,
  });
for (let round = -2; round < times; round++)
  for (const { cri, up, exec, down } of contenders) {
    const marks = [performance.now()];
    const pod = await Pod.run(cri, 'bench');
    const containerId = await pod.start('exec sleep 1000');
    marks.push(performance.now());
    await cri.channel.unary(RuntimeService.methods.execSync, { containerId, cmd: ['true'], timeout: 10n });
    marks.push(performance.now());
    await pod[Symbol.asyncDispose]();
    marks.push(performance.now());
    if (round < 0) continue;
    for (const [i, list] of [up, exec, down].entries()) list.push(marks[i + 1]! - marks[i]!);
  }

process.stdout.write(`${times} pods each, medians in ms; Node ${process.version}\n`);
process.stdout.write(
  `${'daemon'.padEnd(12)}${['running', 'exec', 'removed'].map((head) => head.padStart(10)).join('')}\n`,
);
for (const { name, up, exec, down } of contenders)
  process.stdout.write(
    `${name.padEnd(12)}${[up, exec, down].map((list) => median(list).toFixed(1).padStart(10)).join('')}\n`,
  );
const [ours, theirs] = contenders as [(typeof contenders)[0], (typeof contenders)[0]];
const ratio = (key: 'up' | 'exec' | 'down') => `${(median(theirs[key]) / median(ours[key])).toFixed(1)}x`.padStart(10);
process.stdout.write(`${'faster by'.padEnd(12)}${ratio('up')}${ratio('exec')}${ratio('down')}\n`);
for (const { cri } of contenders) await cri.channel[Symbol.asyncDispose]();
daemon.kill('SIGTERM');
await once(daemon, 'exit');
rmSync(folder, { recursive: true });
removeEmptyCgroupTrees(openCgroups().folders(podCgroup));

function connect(socket: string): CriUnderTest {
  const channel: Channel = connectRpc({ target: parseTarget(`unix://${socket}`), clock: systemClock });
  return {
    channel,
    registry: registry.address,
    restart: () => Promise.reject(new Error('a benchmark restarts nothing')),
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
