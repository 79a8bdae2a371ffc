/** `bin/node conformance/etcd/record.ts`: writes down what the reference answers, for those who run without it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#host/clock.ts';
import { connectRpc } from '#rpc/client.ts';
import { startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { parseTarget } from '#transport/dial.ts';
import { scenarios } from './scenarios.ts';
import { answersOf } from './script.ts';

const folder = mkdtempSync(join(tmpdir(), 'etcd-record-'));
try {
  await using server = await startEtcdProcess({
    command: [referenceBinary('etcd-server', 'etcd')],
    dataDir: join(folder, 'data'),
  });
  await using channel = connectRpc({ target: parseTarget(server.clientUrl), clock: systemClock });
  const answers = await answersOf(scenarios, channel);
  writeFileSync(new URL('./answers.json', import.meta.url), `${JSON.stringify(answers, null, 1)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
