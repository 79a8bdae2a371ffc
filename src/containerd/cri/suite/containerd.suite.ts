/** Runs the CRI suite on Debian's containerd, with its runc or another. */
import { after, before } from 'node:test';
import { ImageService, ImageSpec } from '#api-cri/gen/api.ts';
import { systemClock } from '#host/clock.ts';
import { openCgroups } from '#host-linux/cgroups/open.ts';
import { removeEmptyCgroupTrees } from '#host-linux/cgroups/remove-empty.ts';
import type { Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { type ContainerdProcess, startContainerdProcess } from '#testkit/containerd-process.ts';
import { type RegistryProcess, startRegistry } from '#testkit/registry-process.ts';
import { parseTarget } from '#transport/dial.ts';
import { imagesSuite } from './images.suite.ts';
import { podsSuite } from './pods.suite.ts';
import { streamsSuite } from './streams.suite.ts';
import { pauseImage, pushTestImages } from './test-images.suite.ts';
import { type CriUnderTest, podCgroup, testImages } from './under-test.suite.ts';

/** Registers everything with the test runner. `runtime` is the path of a runc to use instead of the PATH's. */
export function containerdSuite(runtime?: string): void {
  let registry: RegistryProcess;
  let cri: CriUnderTest;

  before(
    async () => {
      registry = await startRegistry();
      await pushTestImages(registry.address);
      cri = await openContainerd(registry.address, runtime);
      await cri.channel.unary(ImageService.methods.pullImage, {
        image: ImageSpec.create({ image: `${registry.address}/${testImages.box}` }),
        auth: undefined,
        sandboxConfig: undefined,
      });
    },
    { timeout: 60_000 },
  );

  after(
    async () => {
      await cri[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
      // The pods' own cgroups are the kubelet's to remove.
      removeEmptyCgroupTrees(openCgroups().folders(podCgroup));
    },
    { timeout: 60_000 },
  );

  imagesSuite(() => cri);
  podsSuite(() => cri);
  streamsSuite(() => cri);
}

async function openContainerd(registry: string, runtime: string | undefined): Promise<CriUnderTest> {
  const more = { sandboxImage: `${registry}/${pauseImage}`, ...(runtime === undefined ? {} : { runtime }) };
  let process: ContainerdProcess = await startContainerdProcess(more);
  let channel: Channel;
  const connect = () => {
    channel = connectRpc({ target: parseTarget(`unix://${process.socket}`), clock: systemClock });
  };
  connect();
  return {
    get channel() {
      return channel;
    },
    registry,
    async restart() {
      await channel[Symbol.asyncDispose]();
      await process.stop('SIGKILL');
      process = await startContainerdProcess({ ...more, folder: process.folder });
      connect();
    },
    async [Symbol.asyncDispose]() {
      await channel[Symbol.asyncDispose]();
      await process[Symbol.asyncDispose]();
    },
  };
}
