/**
 * Requests that are refused before any object is looked at, and by what is stored: bodies that are none, wrong types and versions, names that do not match,
 * conflicts, options, selectors, tokens, patches. Each row of `requests.json` has the request and the whole `Status` of kube-apiserver 1.36, read from
 * upstream's sources. The uid of the object that is there stands as `UID`; `@repeat:N` is a body of N letters.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';

interface Row {
  readonly title: string;
  readonly method: string;
  readonly path: string;
  readonly type?: string;
  readonly accept?: string;
  /** Sent as it is when it is a string, else as JSON. */
  readonly body?: unknown;
  readonly status: { readonly code: number };
}

const rows = JSON.parse(readFileSync(new URL('./requests.json', import.meta.url), 'utf8')) as Row[];

test('requests that cannot be served are told why', { timeout: 60_000 }, async (t) => {
  await using scope = new Scope();
  const { call } = await startInMemoryApiserver(scope);
  await call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'suite' } } });
  const there = { metadata: { name: 'there' } };
  const { object } = await call('POST', '/api/v1/namespaces/suite/configmaps', { body: there });
  for (const { title, method, path, status, body, ...more } of rows)
    await t.test(title, async () => {
      const large = typeof body === 'string' ? /^@repeat:(\d+)$/.exec(body) : null;
      const sent = large ? 'x'.repeat(Number(large[1])) : body;
      const answer = await call(method, path, { ...more, ...(sent !== undefined && { body: sent }) });
      const told = JSON.parse(answer.text.replaceAll(object.metadata.uid!, 'UID')) as unknown;
      assert.deepEqual(told, status, answer.text);
      assert.equal(answer.code, status.code);
    });
});
