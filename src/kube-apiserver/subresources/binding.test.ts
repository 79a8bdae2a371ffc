/** Bindings that bind nothing are refused with what is wrong, by the path of the pod and by the older one. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';

const namespace = '/api/v1/namespaces/default';
const invalid = 'Binding "p" is invalid: ';
const noName = `${invalid}target.name: Required value`;

test('a binding has a target, which is a node', async () => {
  await using scope = new Scope();
  const { call } = await startInMemoryApiserver(scope);
  await call('POST', `${namespace}/serviceaccounts`, { body: { metadata: { name: 'default' } } });
  const pod = { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  assert.equal((await call('POST', `${namespace}/pods`, { body: pod })).code, 201);
  const metadata = { name: 'p' };
  for (const path of ['pods/p/binding', 'bindings'])
    for (const [body, code, message] of [
      [{ metadata }, 422, noName],
      [{ metadata, target: null }, 422, noName],
      [{ metadata, target: {} }, 422, noName],
      [{ metadata, target: { name: null } }, 422, noName],
      [
        { metadata, target: { kind: 'Pod' } },
        422,
        `${invalid}[target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>", target.name: Required value]`,
      ],
      ['null', 400, 'json: cannot unmarshal null into Go value of type v1.Binding'],
      [
        { metadata, target: { name: 5 } },
        400,
        'Binding in version "v1" cannot be handled as a Binding: json: cannot unmarshal number into Go struct field ObjectReference.target.name of type string',
      ],
      [
        { metadata, target: 'n' },
        400,
        'Binding in version "v1" cannot be handled as a Binding: json: cannot unmarshal string into Go struct field Binding.target of type v1.ObjectReference',
      ],
    ] as const) {
      const refused = await call('POST', `${namespace}/${path}`, { body });
      assert.equal(refused.object['message'], message, JSON.stringify(body));
      assert.equal(refused.code, code);
    }
  const other = await call('POST', `${namespace}/pods/p/binding`, {
    body: { metadata: { name: 'q' }, target: { name: 'n' } },
  });
  assert.equal(other.code, 400);
  assert.equal(other.object['message'], 'name in URL does not match name in Binding object');
  const bound = await call('POST', `${namespace}/pods/p/binding`, {
    body: { metadata, target: { kind: 'Node', name: 'n' } },
  });
  assert.equal(bound.code, 201, bound.text);
  const { object } = await call('GET', `${namespace}/pods/p`);
  assert.equal((object['spec'] as { nodeName: string }).nodeName, 'n');
});
