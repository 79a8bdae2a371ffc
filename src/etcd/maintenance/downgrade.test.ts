/** A downgrade from its beginning to its cancellation, and over a restart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEtcdError } from '#api-etcd/errors.ts';
import { Maintenance } from '#api-etcd/gen/rpc.ts';
import { systemClock } from '#host/clock.ts';
import type { Channel } from '#rpc/call.ts';
import { seededPrng } from '#std/prng.ts';
import { MemoryDisk } from '#storage/memory-disk.ts';
import { startEtcd } from '../start.ts';

const timeout = 20_000;
const [VALIDATE, ENABLE, CANCEL] = [0, 1, 2] as const;

test('one at a time, remembered, cancelled', { timeout }, async () => {
  const disk = new MemoryDisk();
  const during = async (work: (channel: Channel) => Promise<void>) => {
    const deps = { clock: systemClock, prng: seededPrng(1), disk, log: () => {} };
    await using etcd = await startEtcd({ config: { dataDir: 'data' }, deps });
    await using channel = etcd.connect();
    await work(channel);
  };
  const ask = (channel: Channel, action: 0 | 1 | 2, version = '') =>
    channel.unary(Maintenance.methods.downgrade, { action, version });
  const inProcess = (error: unknown) => isEtcdError(error, 'downgradeInProcess');
  await during(async (channel) => {
    await ask(channel, ENABLE, '3.4');
    await assert.rejects(ask(channel, ENABLE, '3.4'), inProcess);
    await assert.rejects(ask(channel, VALIDATE, '3.4'), inProcess);
  });
  await during(async (channel) => {
    const { downgradeInfo } = await channel.unary(Maintenance.methods.status, {});
    assert.deepEqual(downgradeInfo, { enabled: true, targetVersion: '3.4.0' });
    await ask(channel, CANCEL);
    await assert.rejects(ask(channel, CANCEL), (error) => isEtcdError(error, 'noInflightDowngrade'));
  });
  await during(async (channel) => {
    const { downgradeInfo } = await channel.unary(Maintenance.methods.status, {});
    assert.equal(downgradeInfo!.enabled, false);
  });
});
