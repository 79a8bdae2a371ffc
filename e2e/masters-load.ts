/**
 * Load on an API while its servers die: kubectl and a client that write one object after the other and remember what was acknowledged, and somebody who
 * keeps opening new connections.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type RequestOptions, request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { createKubeClient } from '#kube-client/client.ts';
import type { ApiObject, ResourceRef } from '#kube-client/resource-ref.ts';
import { createFetch } from '#transport/fetch.ts';
import type { Scene } from './scene.ts';
import { run } from './shell.ts';

const configMaps: ResourceRef = {
  group: '',
  version: 'v1',
  resource: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

/** What a client may see when the server of its connection dies, or the leader of the store: it tries again. */
const passing =
  /connection (refused|reset)|EOF|broken pipe|etcdserver: |TLS handshake timeout|Client\.Timeout|deadline exceeded|lost connection|i\/o timeout/i;
const attemptsMax = 6;
const refusedMax = 0;

export interface Load {
  /** Names that were acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
  /** Times that kubectl had to be called again, with why. */
  readonly retries: readonly string[];
  /** Longest time between two writes of kubectl that were acknowledged, in milliseconds; from the last call on. */
  longestGapMs(): number;
  /** Ends it. @throws AssertionError when a new connection was refused, or kubectl failed for good */
  finish(): Promise<void>;
}

/** @param word begins the names of what is written */
export function startLoad(scene: Pick<Scene, 'env' | 'kubectlPath' | 'dataDir'>, word: string): Load {
  const aborter = new AbortController();
  const acknowledged = new Set<string>();
  const retries: string[] = [];
  const failures: unknown[] = [];
  let gapMs = 0;
  let lastMs = performance.now();
  let refused = 0;
  const pki = (file: string) => readFileSync(join(scene.dataDir, 'pki', file), 'utf8');
  const tls = { ca: pki('ca.crt'), cert: pki('admin.crt'), key: pki('admin.key') };

  async function byKubectl(): Promise<void> {
    for (let i = 0; !aborter.signal.aborted; i++) {
      const name = `${word}-kubectl-${i}`;
      for (let attempt = 1; ; attempt++) {
        const { code, stderr } = await run(
          scene.kubectlPath,
          ['create', 'configmap', name, '--from-literal=a=b', '--request-timeout=20s'],
          { env: scene.env, mayFail: true },
        );
        if (code === 0 || /AlreadyExists/.test(stderr)) break;
        retries.push(stderr.trim());
        if (!passing.test(stderr) || attempt === attemptsMax) throw new Error(`kubectl: ${stderr}`);
      }
      acknowledged.add(name);
      const nowMs = performance.now();
      gapMs = Math.max(gapMs, nowMs - lastMs);
      lastMs = nowMs;
    }
  }

  async function byClient(lane: number): Promise<void> {
    await using fetch = createFetch({
      address: 'https://127.0.0.1:6443',
      tls: { ca: tls.ca, certificate: tls.cert, key: tls.key },
    });
    const client = createKubeClient({ fetch, clock: systemClock, prng: systemPrng() });
    const maps = client.resource<ApiObject>(configMaps, 'default');
    for (let i = 0; !aborter.signal.aborted; i++) {
      const name = `${word}-client-${lane}-${i}`;
      // One that fails may have been done or not: it is not counted on.
      await maps.create({ metadata: { name } }).then(
        () => acknowledged.add(name),
        () => {},
      );
      await sleep(20);
    }
  }

  async function knock(): Promise<void> {
    while (!aborter.signal.aborted) {
      const problem = await connects({ ...tls, host: '127.0.0.1', port: 6443, path: '/livez', agent: false });
      if (problem === 'ECONNREFUSED') refused++;
      await sleep(50);
    }
  }

  const work = [byKubectl(), byClient(0), byClient(1), knock()].map((each) =>
    each.catch((error: unknown) => void failures.push(error)),
  );
  return {
    acknowledged,
    retries,
    longestGapMs() {
      const longest = gapMs;
      gapMs = 0;
      lastMs = performance.now();
      return longest;
    },
    async finish() {
      aborter.abort();
      await Promise.all(work);
      if (failures.length > 0) throw failures[0];
      assert.equal(refused, refusedMax, 'new connections were refused');
    },
  };
}

/** Undefined: there was an answer. Otherwise the socket's code. */
function connects(options: RequestOptions): Promise<string | undefined> {
  return new Promise((resolve) => {
    const asking = request(options, (response) => {
      response.resume();
      response.on('end', () => resolve(undefined));
      response.on('error', () => resolve('cut'));
    });
    asking.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    asking.end();
  });
}

/** Everything acknowledged is there. */
export async function assertKept(
  { kubectl }: Pick<Scene, 'kubectl'>,
  acknowledged: ReadonlySet<string>,
): Promise<void> {
  const names = new Set((await kubectl('get', 'configmaps', '-o', 'name')).trim().split('\n'));
  const lost = [...acknowledged].filter((name) => !names.has(`configmap/${name}`));
  assert.deepEqual(lost, [], 'acknowledged and lost');
  assert.ok(acknowledged.size > 0, 'something was written');
}
