/** The CRI suite on ours, called over a unix socket, with the kernel's inventory the same before and after. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { ImageService, ImageSpec } from '#api-cri/gen/api.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { findHelper } from '#host-linux/helper/binary.ts';
import { Zygote } from '#host-linux/helper/zygote.ts';
import type { Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { createDispatcher } from '#rpc/server.ts';
import { assertInventory, type Inventory, takeInventory } from '#testkit/inventory.ts';
import { type RegistryProcess, startRegistry } from '#testkit/registry-process.ts';
import { parseTarget } from '#transport/dial.ts';
import { type Listener, listen } from '#transport/listen.ts';
import { type Containerd, startContainerd } from '../../start.ts';
import { imagesSuite } from './images.suite.ts';
import { podsSuite } from './pods.suite.ts';
import { lastWordsSuite, streamsSuite } from './streams.suite.ts';
import { pushTestImages } from './test-images.suite.ts';
import { type CriUnderTest, testImages } from './under-test.suite.ts';

const folder = mkdtempSync(join(tmpdir(), 'cri-ours-'));
const cgroupRoot = `/cri-ours-${process.pid}`;
const mine = { only: (text: string) => text.includes(cgroupRoot) || text.includes(folder) };

let clean: Inventory;
let registry: RegistryProcess;
let cri: CriUnderTest;

before(
  async () => {
    clean = takeInventory(mine);
    registry = await startRegistry();
    await pushTestImages(registry.address);
    cri = await openOurs();
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
    await assertInventory(clean, mine);
    rmSync(folder, { recursive: true });
  },
  { timeout: 60_000 },
);

async function openOurs(): Promise<CriUnderTest> {
  let helper: Zygote;
  let daemon: Containerd;
  let listener: Listener;
  let channel: Channel;
  const start = async () => {
    helper = new Zygote(findHelper());
    daemon = await startContainerd({
      config: { root: `${folder}/root`, state: `${folder}/state`, cgroupRoot, version: '2.3.4', arch: process.arch },
      deps: {
        clock: systemClock,
        prng: systemPrng(),
        helper,
        network: {
          status: async () => ({ ready: true, reason: '', message: '' }),
          setup: async () => ({ ips: [] }),
          teardown: async () => {},
        },
        warn: (message, error) => process.stderr.write(`${message}: ${error}\n`),
      },
    });
    listener = await listen({
      address: { path: `${folder}/containerd.sock` },
      handler: async () => ({ status: 404, headers: [], body: new Uint8Array(0) }),
      dispatcher: createDispatcher({ services: daemon.services, clock: systemClock }),
    });
    channel = connectRpc({ target: parseTarget(`unix://${folder}/containerd.sock`), clock: systemClock });
  };
  const stop = async () => {
    await channel[Symbol.asyncDispose]();
    await listener[Symbol.asyncDispose]();
    await daemon[Symbol.asyncDispose]();
    await helper[Symbol.asyncDispose]();
  };
  await start();
  return {
    get channel() {
      return channel;
    },
    registry: registry.address,
    async restart() {
      await stop();
      await start();
    },
    async [Symbol.asyncDispose]() {
      await daemon.removeAll();
      await stop();
    },
  };
}

imagesSuite(() => cri);
podsSuite(() => cri);
streamsSuite(() => cri);
lastWordsSuite(() => cri);
