/** What becomes of questions: answers, refusals, silence, and who is not let in. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { etcdError } from '#api-etcd/errors.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { ask, firstAnswer, PageError } from './ask.ts';

const kindOf = async (error: unknown) => {
  const asked = await ask(() => Promise.reject(error));
  return asked.kind === 'answered' ? '' : `${asked.kind}: ${asked.why}`;
};

test('an error of the server is an answer, whatever its code; no connection is none', async () => {
  assert.equal(await kindOf(etcdError('noLeader')), 'refused: etcdserver: no leader');
  assert.equal(await kindOf(new RpcError(Code.Unimplemented, 'unknown method')), 'refused: unknown method');
  assert.equal(await kindOf(new PageError('/x answers 404')), 'refused: /x answers 404');
  const dialing = 'connection error: desc = "transport: Error while dialing: dial tcp 10.0.0.1:1: i/o timeout"';
  assert.equal(await kindOf(new RpcError(Code.Unavailable, dialing)), 'silent: dial tcp 10.0.0.1:1: i/o timeout');
  assert.equal(await kindOf(new RpcError(Code.DeadlineExceeded, 'x')), 'silent: no answer in time');
  assert.equal(await kindOf(new DOMException('x', 'TimeoutError')), 'silent: no answer in time');
});

test('who has no name, or not the right one', async () => {
  for (const name of ['userEmpty', 'permissionDenied', 'invalidAuthToken'] as const)
    assert.match(await kindOf(etcdError(name)), /^denied: etcdserver: /);
});

test('a mistake of ours is no answer', async () => {
  await assert.rejects(
    ask(() => Promise.reject(new TypeError('x'))),
    TypeError,
  );
});

test('of several questions the first answer counts; else what became of the first', async () => {
  const silent = ask(() => Promise.reject(new PageError('first')));
  const answer = ask(async () => 2);
  assert.deepEqual(await firstAnswer([silent, answer]), { kind: 'answered', value: 2 });
  assert.deepEqual(await firstAnswer([silent, silent]), { kind: 'refused', why: 'first' });
});
