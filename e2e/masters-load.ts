/**
 * Load on an API while its servers die: kubectl and clients that write one object after the other and remember what was acknowledged, one that counts in an
 * object of its own, and somebody who keeps opening new connections.
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
import { StatusError } from '#kube-machinery/status.ts';
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
const answerWithinMs = 30_000;

interface Counter extends ApiObject {
  readonly data: { readonly n: string };
}

export interface Load {
  /** Names that were acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
  /** An object that is written again and again: what it may hold is what was acknowledged last, and what was sent since without an answer. */
  readonly counter: { readonly name: string; readonly mayHold: ReadonlySet<string> };
  /** Times that kubectl had to be called again, with why. */
  readonly retries: readonly string[];
  /** Longest time between two writes of kubectl that were acknowledged, in milliseconds; from the last call on. */
  longestGapMs(): number;
  /**
   * Ends it. @throws AssertionError when a new connection was refused, an acknowledged count was not there when it was read again, or some kind of client wrote nothing; or
   * the error of a client that failed for another reason than that a server was gone
   */
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
  let answered = 0;
  const mayHold = new Set<string>();
  const counter = { name: `${word}-counter`, mayHold };
  const written = { kubectl: 0, client: 0, counter: 0 };
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
        // kubectl itself asks again when a server tells it to, and may hear that its first attempt did it.
        if (code === 0 || /AlreadyExists|already exists/.test(stderr)) break;
        retries.push(stderr.trim());
        if (!passing.test(stderr) || attempt === attemptsMax) throw new Error(`kubectl: ${stderr}`);
      }
      acknowledged.add(name);
      written.kubectl++;
      const nowMs = performance.now();
      gapMs = Math.max(gapMs, nowMs - lastMs);
      lastMs = nowMs;
    }
  }

  const connect = () =>
    createFetch({ address: 'https://127.0.0.1:6443', tls: { ca: tls.ca, certificate: tls.cert, key: tls.key } });

  /** What a server says when it cannot reach the store; whoever is cut off hears nothing of the kind. */
  const goesOn = (error: unknown): void => {
    if (error instanceof StatusError && !passing.test(error.message)) throw error;
  };

  async function byClient(lane: number): Promise<void> {
    await using fetch = connect();
    const client = createKubeClient({ fetch, clock: systemClock, prng: systemPrng() });
    const maps = client.resource<ApiObject>(configMaps, 'default');
    for (let i = 0; !aborter.signal.aborted; i++) {
      const name = `${word}-client-${lane}-${i}`;
      try {
        await maps.create({ metadata: { name } });
        acknowledged.add(name);
        written.client++;
      } catch (error) {
        // One that fails may have been done or not. The client asks again when it is told to: it may hear that the first attempt did it.
        if (error instanceof StatusError && error.reason === 'AlreadyExists') acknowledged.add(name);
        else goesOn(error);
      }
      await sleep(20);
    }
  }

  /** Writes on condition that nobody else has written: what is lost or done late shows. */
  async function counts(): Promise<void> {
    await using fetch = connect();
    const client = createKubeClient({ fetch, clock: systemClock, prng: systemPrng() });
    const maps = client.resource<Counter>(configMaps, 'default');
    const holds = (object: Counter) => {
      mayHold.clear();
      mayHold.add(object.data.n);
      return object;
    };
    const make = () =>
      maps.create({ metadata: { name: counter.name }, data: { n: '0' } }).catch((error: unknown) => {
        if (error instanceof StatusError && error.reason === 'AlreadyExists') return maps.get(counter.name);
        throw error;
      });
    let object = holds(await untilAnswered(make, goesOn));
    written.counter++;
    for (let n = 1; !aborter.signal.aborted; n++) {
      const before = object;
      mayHold.add(String(n));
      try {
        object = holds(await maps.update({ ...before, data: { n: String(n) } }));
        written.counter++;
      } catch (error) {
        if (!(error instanceof StatusError && error.reason === 'Conflict')) goesOn(error);
        object = await untilAnswered(() => maps.get(counter.name), goesOn);
        assert.ok(mayHold.has(object.data.n), `the counter holds ${object.data.n}, not one of ${[...mayHold]}`);
        // Whatever was sent on condition of the object as it was before can no longer be done.
        if (object.metadata.resourceVersion !== before.metadata.resourceVersion) holds(object);
      }
      await sleep(20);
    }
  }

  async function knock(): Promise<void> {
    while (!aborter.signal.aborted) {
      const problem = await connects({ ...tls, host: '127.0.0.1', port: 6443, path: '/livez', agent: false });
      if (problem === 'ECONNREFUSED') refused++;
      if (problem === undefined) answered++;
      await sleep(50);
    }
  }

  const work = [byKubectl(), byClient(0), byClient(1), counts(), knock()].map((each) =>
    each.catch((error: unknown) => void failures.push(error)),
  );
  return {
    acknowledged,
    counter,
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
      assert.ok(answered > 0, 'new connections were answered');
      for (const [who, count] of Object.entries(written)) assert.ok(count > 0, `${who} wrote something`);
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

/** Asks again until there is an answer. */
async function untilAnswered<T>(ask: () => Promise<T>, goesOn: (error: unknown) => void): Promise<T> {
  const untilMs = performance.now() + answerWithinMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      goesOn(error);
      if (performance.now() > untilMs) throw error;
      await sleep(50);
    }
  }
}

/** Everything acknowledged is there. */
export async function assertKept(
  { kubectl }: Pick<Scene, 'kubectl'>,
  { acknowledged, counter }: Pick<Load, 'acknowledged' | 'counter'>,
): Promise<void> {
  const names = new Set((await kubectl('get', 'configmaps', '-o', 'name')).trim().split('\n'));
  const lost = [...acknowledged].filter((name) => !names.has(`configmap/${name}`));
  assert.deepEqual(lost, [], 'acknowledged and lost');
  assert.ok(acknowledged.size > 0, 'something was written');
  const count = await kubectl('get', 'configmap', counter.name, '-o', 'jsonpath={.data.n}');
  assert.ok(counter.mayHold.has(count), `the counter holds ${count}, not one of ${[...counter.mayHold]}`);
}
