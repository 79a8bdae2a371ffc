/** The JSON gateway of the reference and of ours, asked the same over plain HTTP and WebSockets. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { gatewayAnswers } from './gateway-requests.ts';

test('the gateway answers as the reference', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'etcd-gateway-'));
  const answersOf = async (command: readonly string[], name: string) => {
    await using server = await startEtcdProcess({ command, dataDir: join(folder, name) });
    return await gatewayAnswers(server.clientUrl);
  };
  try {
    const wanted = await answersOf([referenceBinary('etcd-server', 'etcd')], 'theirs');
    const ours = await answersOf([new URL('../../bin/wherry', import.meta.url).pathname, 'etcd'], 'ours');
    for (const [i, answer] of ours.entries()) assert.deepEqual(answer, wanted[i]);
    assert.equal(ours.length, wanted.length);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
