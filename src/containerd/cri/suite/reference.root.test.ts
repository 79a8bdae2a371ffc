/** The CRI suite on Debian's containerd: what fails here is wrong in the suite. */
import { after, before } from 'node:test';
import { ImageService, ImageSpec } from '#api-cri/gen/api.ts';
import { systemClock } from '#host/clock.ts';
import type { Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { type ContainerdProcess, startContainerdProcess } from '#testkit/containerd-process.ts';
import { type RegistryProcess, startRegistry } from '#testkit/registry-process.ts';
import { parseTarget } from '#transport/dial.ts';
import { imagesSuite } from './images.suite.ts';
import { podsSuite } from './pods.suite.ts';
import { streamsSuite } from './streams.suite.ts';
import { pauseImage, pushTestImages } from './test-images.suite.ts';
import { type CriUnderTest, testImages } from './under-test.suite.ts';

let registry: RegistryProcess;
let cri: CriUnderTest;

before(
  async () => {
    registry = await startRegistry();
    await pushTestImages(registry.address);
    cri = await openReference();
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
  },
  { timeout: 60_000 },
);

async function openReference(): Promise<CriUnderTest> {
  const sandboxImage = `${registry.address}/${pauseImage}`;
  let process: ContainerdProcess = await startContainerdProcess({ sandboxImage });
  let channel: Channel;
  const connect = () => {
    channel = connectRpc({ target: parseTarget(`unix://${process.socket}`), clock: systemClock });
  };
  connect();
  return {
    get channel() {
      return channel;
    },
    registry: registry.address,
    async restart() {
      await channel[Symbol.asyncDispose]();
      await process.stop('SIGKILL');
      process = await startContainerdProcess({ sandboxImage, folder: process.folder });
      connect();
    },
    async [Symbol.asyncDispose]() {
      await channel[Symbol.asyncDispose]();
      await process[Symbol.asyncDispose]();
    },
  };
}

imagesSuite(() => cri);
podsSuite(() => cri);
streamsSuite(() => cri);
