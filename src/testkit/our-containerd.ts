/**
 * Our container daemon as a process of its own, for tests that kill it: `our-containerd.ts FOLDER CGROUP_ROOT` serves the CRI on
 * FOLDER/containerd.sock and says `ready`. SIGTERM removes all pods and ends it. Pods get an address but no network.
 */
import { rmSync } from 'node:fs';
import { startContainerd } from '#containerd/start.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { findHelper } from '#host-linux/helper/binary.ts';
import { Zygote } from '#host-linux/helper/zygote.ts';
import { createDispatcher } from '#rpc/server.ts';
import { listen } from '#transport/listen.ts';

const [folder, cgroupRoot] = process.argv.slice(2) as [string, string];
const helper = new Zygote(findHelper());
const daemon = await startContainerd({
  config: { root: `${folder}/root`, state: `${folder}/state`, cgroupRoot, version: '2.3.4', arch: process.arch },
  deps: {
    clock: systemClock,
    prng: systemPrng(),
    helper,
    network: {
      status: async () => ({ ready: true, reason: '', message: '' }),
      setup: async () => ({ ips: ['10.88.0.9'] }),
      teardown: async () => {},
    },
    warn: (message, error) => process.stderr.write(`${message}: ${error instanceof Error ? error.stack : error}\n`),
  },
});
rmSync(`${folder}/containerd.sock`, { force: true });
const listener = await listen({
  address: { path: `${folder}/containerd.sock` },
  handler: daemon.http,
  dispatcher: createDispatcher({ services: daemon.services, clock: systemClock }),
});
process.once('SIGTERM', async () => {
  await listener[Symbol.asyncDispose]();
  await daemon.removeAll();
  await daemon[Symbol.asyncDispose]();
  await helper[Symbol.asyncDispose]();
});
process.stdout.write('ready\n');
