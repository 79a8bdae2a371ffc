/** The machinery against upstream's examples: JSON, quantities, selectors, patches, names, statuses. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { invalid, notSupported, required } from './field-error.ts';
import { applyJsonPatch, equal, JsonPatchError } from './json-patch.ts';
import { formatSelector, matches, parseSelector, SelectorError, selectorOf } from './label-selector.ts';
import { applyMergePatch } from './merge-patch.ts';
import { dns1123LabelProblems, dns1123SubdomainProblems, qualifiedNameProblems } from './names.ts';
import { parseQuantity, QuantityError } from './quantity.ts';
import { conflictError, invalidError, notFoundError, optimisticLockText } from './status.ts';
import { applyStrategicMergePatch, type PatchSchema } from './strategic-merge-patch.ts';
import { depthMax, JsonError, parseJson } from './strict-json.ts';

describe('strict JSON', () => {
  test('what JSON.parse reads, it reads the same', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        fc.pre(!/\d{16}/.test(text));
        assert.deepEqual(parseJson(text).value, JSON.parse(text));
      }),
      { numRuns: 300 },
    );
  });
  test('duplicates are reported by path and the later one counts', () => {
    const { value, duplicates } = parseJson('{"spec":{"replicas":1,"replicas":2},"a":[{"b":1,"b":1}]}');
    assert.deepEqual(value, { spec: { replicas: 2 }, a: [{ b: 1 }] });
    assert.deepEqual(duplicates, ['spec.replicas', 'a[0].b']);
  });
  test('depth, large integers and prototypes are bounded', () => {
    assert.throws(() => parseJson('['.repeat(depthMax + 2)), /exceeded max depth/);
    assert.throws(() => parseJson('{"a":9007199254740993}'), /beyond 2\^53/);
    const { value } = parseJson('{"__proto__":{"x":1}}');
    assert.equal((value as { x?: number }).x, undefined);
    assert.deepEqual(Object.keys(value as object), ['__proto__']);
  });
  test('random text is read as JSON.parse reads it, or refused', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:0123456789.-+eEtrufalsn \\\n') }), (text) => {
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          assert.throws(() => parseJson(text), JsonError);
          return;
        }
        try {
          assert.deepEqual(parseJson(text).value, expected);
        } catch (error) {
          assert.match(String(error), /beyond 2\^53|out of range/);
        }
      }),
      { numRuns: 2000 },
    );
  });
  test('errors use the words of Go', () => {
    assert.throws(() => parseJson('{a:1}'), {
      message: "invalid character 'a' looking for beginning of object key string",
    });
    assert.throws(() => parseJson(''), { message: 'unexpected end of JSON input' });
    assert.throws(() => parseJson('1 2'), { message: "invalid character '2' after top-level value" });
  });
});

describe('quantities', () => {
  for (const [text, canonical] of [
    ['100m', '100m'],
    ['0.1', '100m'],
    ['1.5Gi', '1536Mi'],
    ['1024Mi', '1Gi'],
    ['1000m', '1'],
    ['2e3', '2e3'],
    ['1500', '1500'],
    ['1.5k', '1500'],
    ['12e6', '12e6'],
    ['0', '0'],
    ['0Mi', '0'],
    ['-1.5', '-1500m'],
    ['1000k', '1M'],
    ['1e-3', '1e-3'],
    ['512', '512'],
    ['0.5Mi', '512Ki'],
    ['1n', '1n'],
    ['0.1n', '1n'],
  ] as const)
    test(`${text} is ${canonical}`, () => assert.equal(parseQuantity(text).toString(), canonical));
  test('arithmetic is exact, scaling rounds up', () => {
    assert.equal(parseQuantity('100m').add(parseQuantity('1')).toString(), '1100m');
    assert.equal(parseQuantity('1Gi').subtract(parseQuantity('1Mi')).toString(), '1023Mi');
    assert.equal(parseQuantity('1.0001').scaled(0), 2n);
    assert.ok(parseQuantity('1Gi').compare(parseQuantity('1G')) > 0);
  });
  test("nonsense is refused in upstream's words", () => {
    for (const text of ['', 'x', '1 Gi', '1KB', '.', '1Zi', '--1'])
      assert.throws(() => parseQuantity(text), QuantityError, text);
  });
  test('letters of suffixes that are none together', () => {
    for (const text of ['1K', '512mi', '5e', '1KK'])
      assert.throws(() => parseQuantity(text), { message: "unable to parse quantity's suffix" }, text);
    for (const text of ['lots', '1Gb', '1.5.5', '1 Gi'])
      assert.throws(() => parseQuantity(text), /^QuantityError: quantities must match the regular expression/, text);
  });
  test('the canonical form means the same', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -1e9, max: 1e9 }),
        fc.constantFrom('', 'm', 'k', 'M', 'Ki', 'Mi', 'Gi', 'u'),
        (number, suffix) => {
          const quantity = parseQuantity(`${number}${suffix}`);
          const again = parseQuantity(quantity.toString());
          assert.equal(again.nanos, quantity.nanos);
          assert.equal(again.toString(), quantity.toString());
        },
      ),
    );
  });
});

describe('label selectors', () => {
  for (const [text, labels, expected] of [
    ['', {}, true],
    ['a=b', { a: 'b' }, true],
    ['a=b', {}, false],
    ['a!=b', {}, true],
    ['a', { a: '' }, true],
    ['!a', { a: '' }, false],
    ['!a', {}, true],
    ['a in (b,c)', { a: 'c' }, true],
    ['a notin (b,c)', { a: 'c' }, false],
    ['a notin (b)', {}, true],
    ['a=b,c==d', { a: 'b', c: 'd' }, true],
    ['a>1', { a: '2' }, true],
    ['a<1', { a: '2' }, false],
    ['app.kubernetes.io/name=x', { 'app.kubernetes.io/name': 'x' }, true],
    ['a=', { a: '' }, true],
  ] as const)
    test(`${JSON.stringify(text)} on ${JSON.stringify(labels)} is ${expected}`, () =>
      assert.equal(matches(parseSelector(text), labels), expected));
  test('a selector is written as upstream writes it', () => {
    assert.equal(
      formatSelector(parseSelector('z=1,a in (y,x),!n,e,b!=2,c notin (q)')),
      'a in (x,y),b!=2,c!=q,e,!n,z=1',
    );
  });
  test('what cannot be parsed is refused', () => {
    for (const text of ['a=b,', 'a in b', '=x', 'a in (b', 'a b', 'a@=b', 'a=%'])
      assert.throws(() => parseSelector(text), SelectorError, text);
  });
  test('the object form', () => {
    assert.equal(selectorOf(undefined), undefined);
    const selector = selectorOf({ matchLabels: { a: 'b' }, matchExpressions: [{ key: 'c', operator: 'Exists' }] })!;
    assert.equal(matches(selector, { a: 'b', c: '' }), true);
    assert.equal(matches(selector, { a: 'b' }), false);
  });
});

describe('patches', () => {
  test('RFC 6902: add, remove, replace, move, copy, test', () => {
    const document = { a: [1, 2], b: { 'x/y': 1 } };
    const patched = applyJsonPatch(document, [
      { op: 'test', path: '/b/x~1y', value: 1 },
      { op: 'add', path: '/a/-', value: 3 },
      { op: 'add', path: '/a/0', value: 0 },
      { op: 'replace', path: '/b/x~1y', value: null },
      { op: 'copy', from: '/a/1', path: '/c' },
      { op: 'move', from: '/c', path: '/d' },
      { op: 'remove', path: '/a/3' },
    ]);
    assert.deepEqual(patched, { a: [0, 1, 2], b: { 'x/y': null }, d: 1 });
    assert.deepEqual(document, { a: [1, 2], b: { 'x/y': 1 } });
    for (const operation of [
      { op: 'remove', path: '/nope' },
      { op: 'add', path: '/a/9', value: 1 },
      { op: 'test', path: '/a/0', value: 9 },
      { op: 'dance', path: '' },
      { op: 'add', path: '/a/0' },
    ])
      assert.throws(() => applyJsonPatch(document, [operation]), JsonPatchError, JSON.stringify(operation));
  });
  test('RFC 7386, appendix A', () => {
    for (const [target, patch, result] of [
      [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
      [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
      [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
      [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
      [['a'], ['c'], ['c']],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [[1, 2], { a: 'b', c: null }, { a: 'b' }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ] as const)
      assert.deepEqual(applyMergePatch(target, patch), result);
  });
  const containers: PatchSchema = {
    field: (name) =>
      name === 'containers'
        ? {
            strategies: ['merge'],
            mergeKey: 'name',
            schema: {
              field: (inner) => (inner === 'ports' ? { strategies: ['merge'], mergeKey: 'containerPort' } : undefined),
            },
          }
        : name === 'finalizers'
          ? { strategies: ['merge'] }
          : name === 'strategy'
            ? { strategies: ['retainKeys'] }
            : undefined,
  };
  test('strategic: lists merge by key, directives delete, replace, order and retain', () => {
    const original = {
      containers: [
        { name: 'a', image: '1', ports: [{ containerPort: 80 }] },
        { name: 'b', image: '1' },
      ],
      finalizers: ['x', 'y'],
      args: [1, 2],
    };
    assert.deepEqual(
      applyStrategicMergePatch(
        original,
        { containers: [{ name: 'b', image: '2' }, { name: 'c' }], args: [3] },
        containers,
      ),
      {
        ...original,
        containers: [original.containers[0], { name: 'b', image: '2' }, { name: 'c' }],
        args: [3],
      },
    );
    assert.deepEqual(
      applyStrategicMergePatch(original, { containers: [{ name: 'a', $patch: 'delete' }] }, containers)['containers'],
      [{ name: 'b', image: '1' }],
    );
    assert.deepEqual(
      applyStrategicMergePatch(original, { containers: [{ $patch: 'replace' }, { name: 'z' }] }, containers)[
        'containers'
      ],
      [{ name: 'z' }],
    );
    assert.deepEqual(
      applyStrategicMergePatch(
        original,
        { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }], containers: [{ name: 'b', image: '3' }] },
        containers,
      )['containers'],
      [{ name: 'b', image: '3' }, original.containers[0]],
    );
    assert.deepEqual(
      applyStrategicMergePatch(
        original,
        { '$deleteFromPrimitiveList/finalizers': ['x'], finalizers: ['z'] },
        containers,
      )['finalizers'],
      ['y', 'z'],
    );
    assert.deepEqual(
      applyStrategicMergePatch(
        { strategy: { type: 'RollingUpdate', rollingUpdate: {} } },
        { strategy: { $retainKeys: ['type'], type: 'Recreate' } },
        containers,
      ),
      { strategy: { type: 'Recreate' } },
    );
    assert.throws(
      () => applyStrategicMergePatch(original, { containers: [{ image: 'x' }] }, containers),
      /does not contain declared merge key: name/,
    );
  });
  test('equality is deep and strict', () => {
    assert.equal(equal({ a: [1, { b: null }] }, { a: [1, { b: null }] }), true);
    assert.equal(equal({ a: 1 }, { a: 1, b: undefined }), false);
    assert.equal(equal([1], { 0: 1 }), false);
  });
});

test("names are refused in upstream's words", () => {
  assert.deepEqual(dns1123SubdomainProblems('Upper_Case'), [
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
  ]);
  assert.deepEqual(dns1123LabelProblems('a.b'), [
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
  ]);
  assert.deepEqual(dns1123LabelProblems('x'.repeat(64)), ['must be no more than 63 bytes']);
  assert.deepEqual(qualifiedNameProblems('example.com/Name'), []);
});

test("statuses carry upstream's messages", () => {
  const pods = { group: '', resource: 'pods' };
  assert.deepEqual(notFoundError(pods, 'x').status, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'pods "x" not found',
    reason: 'NotFound',
    details: { name: 'x', kind: 'pods' },
    code: 404,
  });
  assert.equal(
    conflictError({ group: 'apps', resource: 'deployments' }, 'd', optimisticLockText).message,
    'Operation cannot be fulfilled on deployments.apps "d": the object has been modified; please apply your changes to the latest version and try again',
  );
  const error = invalidError('apps', 'Deployment', 'd', [
    required('spec.selector'),
    invalid('metadata.name', 'A', 'bad'),
    notSupported('spec.x', 'q', ['b', 'a']),
  ]);
  assert.equal(
    error.message,
    'Deployment.apps "d" is invalid: [spec.selector: Required value, metadata.name: Invalid value: "A": bad, spec.x: Unsupported value: "q": supported values: "b", "a"]',
  );
  assert.equal(error.code, 422);
});
