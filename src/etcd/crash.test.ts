/**
 * Power cuts: at any moment, with any of the unsynced sectors on the disk or not, a member comes back with every write it has acknowledged
 * and none that nobody asked for, in one order. Files are small, so that cuts of the log and checkpoints happen all the time.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { drainTurns } from '#host/event-loop.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { below, seededPrng } from '#std/prng.ts';
import { MemoryDisk } from '#storage/memory-disk.ts';
import { startEtcd } from './start.ts';

const keys = 12;
const all = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };

for (const seed of [1, 2, 3, 4, 5, 6])
  test(`seed ${seed}`, { timeout: 60_000 }, async () => {
    const prng = seededPrng(seed);
    const acknowledged = new Map<string, number>();
    const asked = new Map<string, number>();
    let revision = 1;
    let disk = new MemoryDisk();
    let checkpoints = 0;
    for (let life = 0; life < 25; life++) {
      const etcd = await startEtcd({
        config: { dataDir: 'data', logFileBytes: 16 << 10, checkpointLogBytesMin: 8 << 10 },
        deps: { clock: systemClock, prng, disk, log: () => {} },
      });
      const client = createEtcdClient(etcd.connect(), systemClock);
      const found = await client.range(all);
      assert.ok(found.header!.revision >= revision, `revision ${found.header!.revision} after ${revision}`);
      revision = found.header!.revision;
      for (const [key, value] of acknowledged)
        assert.ok(
          found.kvs.some((kv) => utf8Decode(kv.key) === key),
          `${key} = ${value} is gone`,
        );
      for (const { key, value } of found.kvs) {
        const name = utf8Decode(key);
        const number = Number(utf8Decode(value).trim());
        assert.ok(number >= (acknowledged.get(name) ?? 0), `${name} went back`);
        assert.ok(number <= asked.get(name)!, `${name} was never written`);
        acknowledged.set(name, number);
      }
      let open = true;
      const writer = async (key: string) => {
        while (open) {
          const number = (asked.get(key) ?? 0) + 1;
          asked.set(key, number);
          const value = utf8Encode(String(number).padEnd(below(prng, 600)));
          const { header } = await client.put({ key: utf8Encode(key), value });
          if (!open) return;
          acknowledged.set(key, number);
          revision = Math.max(revision, header!.revision);
          if (below(prng, 30) === 0) await client.compact({ revision: revision - below(prng, 3) }).catch(() => {});
        }
      };
      const writers = Array.from({ length: keys }, (_, i) => writer(`key${i}`).catch(() => {}));
      await drainTurns(1 + below(prng, 60));
      // Promises that are under way may still be acknowledged by the old life: what counts is what was before the cut.
      open = false;
      const after = disk.afterCrash(prng);
      if ((await after.list('data/member/snap')).includes('db')) checkpoints++;
      await etcd[Symbol.asyncDispose]();
      await Promise.all(writers);
      disk = after;
    }
    assert.ok(checkpoints > 5, `only ${checkpoints} lives had a checkpoint`);
    assert.ok(revision > 500, `only ${revision} revisions`);
  });
