/** The approval path of a signing request: its conditions are written there, and nothing else. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';
import { minimalObjects } from '#testkit/minimal-objects.ts';

test('an approval sets conditions, keeps the request and what was signed', async () => {
  await using scope = new Scope();
  const { call } = await startInMemoryApiserver(scope);
  const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  const minimal = minimalObjects['certificatesigningrequests.certificates.k8s.io/v1']!.body as { spec: object };
  const { object: made } = await call('POST', requests, { body: { metadata: { name: 'r' }, ...minimal } });
  const conditions = [{ type: 'Approved', status: 'True', reason: 'Because', message: 'it is ours' }];
  const approved = await call('PUT', `${requests}/r/approval`, {
    body: { ...made, spec: { ...minimal.spec, usages: ['any'] }, status: { conditions, certificate: 'eA==' } },
  });
  assert.equal(approved.code, 200, approved.text);
  assert.deepEqual(approved.object['spec'], made['spec']);
  const { certificate, conditions: written } = approved.object['status'] as {
    certificate?: string;
    conditions: { type: string }[];
  };
  assert.equal(certificate, undefined);
  assert.deepEqual(
    written.map(({ type }) => type),
    ['Approved'],
  );
  assert.deepEqual((await call('GET', `${requests}/r/approval`)).object, approved.object);
  assert.equal((await call('POST', `${requests}/r/approval`, { body: made })).code, 405);
});
