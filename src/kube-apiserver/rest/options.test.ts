/** Options that a write may not have: the same refusal, in upstream's words, from every verb that takes them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';

const maps = '/api/v1/namespaces/default/configmaps';
const sets = '/apis/apps/v1/namespaces/default/replicasets';
const merge = 'application/merge-patch+json';

async function start(scope: Scope) {
  const server = await startInMemoryApiserver(scope);
  await server.call('POST', maps, { body: { metadata: { name: 'a' } } });
  const labels = { app: 'a' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  await server.call('POST', sets, {
    body: { metadata: { name: 'a' }, spec: { replicas: 1, selector: { matchLabels: labels }, template } },
  });
  await server.call('POST', '/api/v1/namespaces/default/serviceaccounts', { body: { metadata: { name: 'a' } } });
  const refusal = async (method: string, target: string, body?: unknown) => {
    const type = method === 'PATCH' ? merge : 'application/json';
    const { code, object } = await server.call(method, target, { type, body });
    assert.equal(object['status'], 'Failure', `${method} ${target} is refused`);
    return { code, message: object['message'], reason: object['reason'] };
  };
  return { ...server, refusal };
}

const writes = [
  ['POST', maps, 'CreateOptions'],
  ['PUT', `${maps}/a`, 'UpdateOptions'],
  ['PATCH', `${maps}/a`, 'PatchOptions'],
  ['PUT', `${sets}/a/scale`, 'UpdateOptions'],
  ['PATCH', `${sets}/a/scale`, 'PatchOptions'],
  ['PUT', `${sets}/a/status`, 'UpdateOptions'],
  ['POST', '/api/v1/namespaces/default/serviceaccounts/a/token', 'CreateOptions'],
  ['POST', '/api/v1/namespaces/default/pods/a/eviction', 'CreateOptions'],
  ['POST', '/api/v1/namespaces/default/pods/a/binding', 'CreateOptions'],
  ['POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', 'CreateOptions'],
] as const;

test('writes refuse what no option may be', async () => {
  await using scope = new Scope();
  const { refusal } = await start(scope);
  const printed = 'fieldManager: Invalid value:';
  const refused: readonly (readonly [query: string, why: string])[] = [
    ['dryRun=none', 'dryRun: Unsupported value: ["none"]: supported values: "All"'],
    ['dryRun=', 'dryRun: Unsupported value: [""]: supported values: "All"'],
    ['dryRun=All&dryRun=all', 'dryRun: Unsupported value: ["All","all"]: supported values: "All"'],
    [
      'fieldValidation=strict',
      'fieldValidation: Unsupported value: "strict": supported values: "", "Ignore", "Strict", "Warn"',
    ],
    [`fieldManager=${'x'.repeat(129)}`, 'fieldManager: Too long: may not be more than 128 bytes'],
    [`fieldManager=${'%C3%A4'.repeat(65)}`, 'fieldManager: Too long: may not be more than 128 bytes'],
    ['fieldManager=a%0Ab', `${printed} "a\\nb": invalid character U+000A (at position 1)`],
    ['fieldManager=%C3%A4%E2%80%8B', `${printed} "ä\\u200b": invalid character U+200B (at position 2)`],
    ['fieldManager=a%E3%80%80', `${printed} "a\\u3000": invalid character U+3000 (at position 1)`],
    ['fieldManager=%EE%80%80', `${printed} "\\ue000": invalid character U+E000 (at position 0)`],
  ];
  for (const [method, path, kind] of writes)
    for (const [query, why] of refused) {
      const { code, message, reason } = await refusal(method, `${path}?${query}`, { metadata: { name: 'a' } });
      assert.equal(message, `${kind}.meta.k8s.io "" is invalid: ${why}`, `${method} ${path}`);
      assert.equal(code, 422);
      assert.equal(reason, 'Invalid');
    }
  assert.equal(
    (await refusal('PATCH', `${maps}/a?force=true&dryRun=x`, {})).message,
    'PatchOptions.meta.k8s.io "" is invalid: [force: Forbidden: may not be specified for non-apply patch, dryRun: Unsupported value: ["x"]: supported values: "All"]',
  );
});

test('what prints is a manager, spaces among it', async () => {
  await using scope = new Scope();
  const { call } = await start(scope);
  const { code, text } = await call('PATCH', `${maps}/a?fieldManager=${encodeURIComponent('Ein Müller 🙂 +1 €')}`, {
    type: merge,
    body: {},
  });
  assert.equal(code, 200, text);
});

test('deletes refuse what their options may not be, all of it at once, in the query and in the body', async () => {
  await using scope = new Scope();
  const { call, refusal } = await start(scope);
  const policies = 'supported values: "Foreground", "Background", "Orphan", "nil"';
  const refused: readonly (readonly [query: string, body: object, why: string])[] = [
    ['dryRun=none', { dryRun: ['none'] }, 'dryRun: Unsupported value: ["none"]: supported values: "All"'],
    ['propagationPolicy=x', { propagationPolicy: 'x' }, `propagationPolicy: Unsupported value: "x": ${policies}`],
    ['propagationPolicy=', { propagationPolicy: '' }, `propagationPolicy: Unsupported value: "": ${policies}`],
    [
      'propagationPolicy=x&orphanDependents=false&dryRun=y',
      { propagationPolicy: 'x', orphanDependents: false, dryRun: ['y'] },
      `[propagationPolicy: Invalid value: "x": orphanDependents and deletionPropagation cannot be both set, propagationPolicy: Unsupported value: "x": ${policies}, dryRun: Unsupported value: ["y"]: supported values: "All"]`,
    ],
  ];
  // An empty collection, too.
  for (const path of [`${maps}/a`, maps, '/api/v1/namespaces/empty/configmaps'])
    for (const [query, body, why] of refused)
      for (const { code, message } of [
        await refusal('DELETE', `${path}?${query}`),
        await refusal('DELETE', path, body),
      ]) {
        assert.equal(message, `DeleteOptions.meta.k8s.io "" is invalid: ${why}`);
        assert.equal(code, 422);
      }
  const wrongType = await refusal('DELETE', `${maps}/a`, { gracePeriodSeconds: 'soon' });
  assert.equal(wrongType.code, 400);
  assert.equal(
    wrongType.message,
    'json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64',
  );
  const noNumber = await refusal('DELETE', `${maps}/a?gracePeriodSeconds=soon`);
  assert.equal(noNumber.code, 400);
  assert.equal(noNumber.message, 'strconv.ParseInt: parsing "soon": invalid syntax');
  assert.equal((await call('GET', `${maps}/a`)).code, 200);
  assert.equal(
    (await call('DELETE', `${maps}/a`, { body: { gracePeriodSeconds: null, preconditions: null } })).code,
    200,
  );
});

test('preconditions name the kind and both values; a grace period of less than nothing is a second', async () => {
  await using scope = new Scope();
  const { call, refusal } = await start(scope);
  const { metadata } = (await call('GET', `${maps}/a`)).object;
  const conflict = 'Operation cannot be fulfilled on ConfigMap "a": the';
  assert.deepEqual(await refusal('DELETE', `${maps}/a`, { preconditions: { uid: 'other' } }), {
    code: 409,
    reason: 'Conflict',
    message: `${conflict} UID in the precondition (other) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
  });
  assert.deepEqual(await refusal('DELETE', `${maps}/a`, { preconditions: { resourceVersion: '1' } }), {
    code: 409,
    reason: 'Conflict',
    message: `${conflict} ResourceVersion in the precondition (1) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`,
  });
  const spec = { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] };
  const pods = '/api/v1/namespaces/default/pods';
  const made = await call('POST', pods, {
    body: { metadata: { name: 'p' }, spec: { ...spec, serviceAccountName: 'a', automountServiceAccountToken: false } },
  });
  assert.equal(made.code, 201, made.text);
  const deleted = await call('DELETE', `${pods}/p`, { body: { gracePeriodSeconds: -5 } });
  assert.equal(deleted.object.metadata.deletionGracePeriodSeconds, 1);
});
