/** The same scenarios over sockets: on the reference, which must answer as recorded, and on ours, as a process and in this one. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { startEtcd } from '#etcd/start.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { connectRpc } from '#rpc/client.ts';
import { Scope } from '#std/scope.ts';
import { startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { parseTarget } from '#transport/dial.ts';
import { listen } from '#transport/listen.ts';
import { recordedAnswers } from './recorded.ts';
import { scenarios } from './scenarios.ts';
import { answersOf } from './script.ts';

const recorded = recordedAnswers();

/** Starts a server that lives as long as the scope. @returns its address */
type Start = (scope: Scope) => Promise<string>;

const servers: Readonly<Record<string, Start>> = {
  reference: (scope) => startProcess(scope, [referenceBinary('etcd-server', 'etcd')]),

  'ours, as a process': (scope) => startProcess(scope, [new URL('../../bin/wherry', import.meta.url).pathname, 'etcd']),

  async 'in memory, over a socket'(scope) {
    const etcd = await startEtcd({
      config: { bcryptCost: 4 },
      deps: { clock: systemClock, prng: systemPrng(), log: () => {} },
    });
    scope.use(etcd);
    const listener = await listen({
      address: { host: '127.0.0.1', port: 0 },
      handler: etcd.http,
      dispatcher: etcd.dispatcher,
    });
    scope.use(listener);
    return `http://127.0.0.1:${listener.port}`;
  },
};

async function startProcess(scope: Scope, command: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'etcd-conformance-'));
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const server = await startEtcdProcess({ command, dataDir: join(folder, 'data') });
  scope.use(server);
  return server.clientUrl;
}

for (const [name, start] of Object.entries(servers))
  describe(name, { timeout: 180_000 }, async () => {
    const scope = new Scope();
    after(() => scope[Symbol.asyncDispose]());
    const channel = connectRpc({ target: parseTarget(await start(scope)), clock: systemClock });
    scope.use(channel);
    const answers = await answersOf(scenarios, channel);
    for (const scenario of scenarios)
      test(scenario.name, () => assert.deepEqual(answers[scenario.name], recorded[scenario.name]));
  });
