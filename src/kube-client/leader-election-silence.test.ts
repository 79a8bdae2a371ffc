/** Leader election when the server falls silent: on one that keeps a lease and, for some, never answers. Virtual time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { seededPrng } from '#std/prng.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import type { HttpHandler, HttpResponse } from '#transport/http.ts';
import { createKubeClient } from './client.ts';
import { leaseDurationMs, renewDeadlineMs, runLeaderElected } from './leader-election.ts';
import type { Lease } from './types/coordination.ts';

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** One lease with optimistic locking. A candidate in `silent` gets no answers. */
class LeaseServer {
  lease: Lease | undefined;
  readonly silent = new Set<string>();
  #revision = 0;

  handlerFor(candidate: string): HttpHandler {
    return async (request) => {
      if (this.silent.has(candidate)) return await new Promise<HttpResponse>(() => {});
      const chunks: Uint8Array[] = [];
      if (request.body instanceof Uint8Array) chunks.push(request.body);
      else for await (const chunk of request.body) chunks.push(chunk);
      const text = utf8Decode(Buffer.concat(chunks));
      if (request.method === 'GET')
        return this.lease === undefined ? answer(404, status(404)) : answer(200, this.lease);
      const wanted = JSON.parse(text) as Lease;
      if (wanted.metadata.resourceVersion !== this.lease?.metadata.resourceVersion) return answer(409, status(409));
      this.lease = { ...wanted, metadata: { ...wanted.metadata, resourceVersion: String(++this.#revision) } };
      return answer(200, this.lease);
    };
  }
}

function status(code: number) {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason: code === 404 ? 'NotFound' : 'Conflict' };
}

function answer(code: number, body: unknown): HttpResponse {
  return { status: code, headers: [['content-type', 'application/json']], body: utf8Encode(JSON.stringify(body)) };
}

function candidate(server: LeaseServer, clock: VirtualClock, identity: string) {
  const aborter = new AbortController();
  const state = { leading: false, terms: 0 };
  const prng = seededPrng(identity.length);
  const ended = runLeaderElected(
    {
      client: createKubeClient({ fetch: server.handlerFor(identity), clock, prng }),
      namespace: 'kube-system',
      name: 'controllers',
      identity,
      clock,
      prng,
      log: () => {},
      signal: aborter.signal,
    },
    async (signal) => {
      state.leading = true;
      state.terms++;
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
      state.leading = false;
    },
  );
  return {
    state,
    async close() {
      aborter.abort(new Error('closed'));
      await ended;
    },
  };
}

test('a leader whose renewals get no answer stops before another one may start', { timeout: 5000 }, async () => {
  const clock = new VirtualClock();
  const server = new LeaseServer();
  const one = candidate(server, clock, 'one');
  await clock.advance(1000, settle);
  const other = candidate(server, clock, 'longer');
  await clock.advance(5000, settle);
  assert.equal(one.state.leading, true);
  server.silent.add('one');
  await clock.advance(renewDeadlineMs, settle);
  assert.deepEqual([one.state.leading, other.state.leading], [false, false]);
  for (let ms = 0; ms < leaseDurationMs; ms += 500) {
    await clock.advance(500, settle);
    assert.ok(!(one.state.leading && other.state.leading), 'two lead');
  }
  assert.equal(other.state.leading, true);
  // It asks on, and hears again.
  server.silent.clear();
  await clock.advance(120_000, settle);
  assert.deepEqual([one.state.leading, other.state.leading], [false, true]);
  await Promise.all([one.close(), other.close()]);
  assert.equal(clock.pending, 0);
});
