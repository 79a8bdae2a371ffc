/** Scopes: order of release, failures, background tasks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scope, startInScope } from './scope.ts';

test('resources are released in reverse order, once, whatever fails', async () => {
  const released: string[] = [];
  const scope = new Scope();
  scope.defer(() => void released.push('first'));
  scope.defer(() => {
    released.push('second');
    throw new Error('stuck');
  });
  scope.defer(() => void released.push('third'));
  await assert.rejects(scope[Symbol.asyncDispose](), /stuck/);
  assert.deepEqual(released, ['third', 'second', 'first']);
});

test('closing ends and waits for background tasks', async () => {
  const scope = new Scope();
  let ended = false;
  scope.run(
    (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          ended = true;
          reject(signal.reason);
        });
      }),
    (error) => assert.fail(String(error)),
  );
  await scope[Symbol.asyncDispose]();
  assert.equal(ended, true);
  assert.throws(() => scope.defer(() => {}), /closed/);
});

test('a start that fails lets go of what it had acquired, and says why it failed', async () => {
  const said: string[] = [];
  const failing = startInScope(
    async (scope) => {
      scope.defer(() => void said.push('released'));
      scope.defer(() => {
        throw new Error('stuck');
      });
      throw new Error('no port');
    },
    (message, error) => said.push(`${message}: ${(error as Error).message}`),
  );
  await assert.rejects(failing, /no port/);
  assert.deepEqual(said, ['released', 'closing what had been started: stuck']);
});
