/** The life of a signing request: who asked is written in it, its approval decides and nothing else, its status holds what was signed. */
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import test from 'node:test';
import { loadX509 } from '#pki/x509.ts';
import { Scope } from '#std/scope.ts';
import { startInMemoryApiserver } from '#testkit/in-memory-apiserver.ts';
import { minimalObjects } from '#testkit/minimal-objects.ts';

const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const minimal = minimalObjects['certificatesigningrequests.certificates.k8s.io/v1']!.body as { spec: object };
const approval = { type: 'Approved', status: 'True', reason: 'Because', message: 'it is ours' };
const times = { lastUpdateTime: '2026-01-01T00:00:00Z', lastTransitionTime: '2026-01-01T00:00:00Z' };

interface Condition {
  readonly type: string;
  readonly lastUpdateTime: string;
  readonly lastTransitionTime: string;
}

async function start(scope: Scope) {
  const server = await startInMemoryApiserver(scope);
  const { object: made } = await server.call('POST', requests, { body: { metadata: { name: 'r' }, ...minimal } });
  const write = (path: string, status: object, user?: { user: string; groups: string[] }) =>
    server.call('PUT', `${requests}/r/${path}`, {
      body: { ...made, metadata: { name: 'r' }, status },
      ...(user && { user }),
    });
  const refusal = async (path: string, status: object) => {
    const { code, object } = await write(path, status);
    assert.equal(code, 422);
    return object['message'];
  };
  return { ...server, made, write, refusal };
}

test('an approval sets conditions with their times, keeps the request and what was signed', async () => {
  await using scope = new Scope();
  const { call, made } = await start(scope);
  const approved = await call('PUT', `${requests}/r/approval`, {
    body: {
      ...made,
      spec: { ...minimal.spec, usages: ['any'] },
      status: { conditions: [approval], certificate: 'eA==' },
    },
  });
  assert.equal(approved.code, 200, approved.text);
  assert.deepEqual(approved.object['spec'], made['spec']);
  const { certificate, conditions } = approved.object['status'] as { certificate?: string; conditions: Condition[] };
  assert.equal(certificate, undefined);
  assert.deepEqual(
    conditions.map(({ type }) => type),
    ['Approved'],
  );
  assert.match(conditions[0]!.lastUpdateTime, /^\d{4}-/);
  assert.equal(conditions[0]!.lastTransitionTime, conditions[0]!.lastUpdateTime);
  assert.deepEqual((await call('GET', `${requests}/r/approval`)).object, approved.object);
  assert.equal((await call('POST', `${requests}/r/approval`, { body: made })).code, 405);
});

test('a condition that stays keeps the time of its last change', async () => {
  await using scope = new Scope();
  const { write } = await start(scope);
  await write('approval', { conditions: [{ ...approval, ...times }] });
  const { object } = await write('approval', { conditions: [{ ...approval, message: 'it still is' }] });
  const [condition] = (object['status'] as { conditions: Condition[] }).conditions;
  assert.equal(condition!.lastTransitionTime, times.lastTransitionTime);
  assert.notEqual(condition!.lastUpdateTime, times.lastUpdateTime);
});

test('a decision is one, has a type, and is not taken back', async () => {
  await using scope = new Scope();
  const { write, refusal } = await start(scope);
  const invalid = 'CertificateSigningRequest.certificates.k8s.io "r" is invalid: ';
  assert.equal(
    await refusal('approval', { conditions: [approval, { ...approval, type: 'Denied' }] }),
    `${invalid}status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive`,
  );
  assert.equal(
    await refusal('approval', { conditions: [{ ...approval, type: '' }] }),
    `${invalid}status.conditions[0].type: Required value`,
  );
  assert.equal(
    await refusal('approval', { conditions: [{ ...approval, status: 'False' }] }),
    `${invalid}status.conditions[0].status: Unsupported value: "False": supported values: "True"`,
  );
  assert.equal(
    await refusal('approval', { conditions: [approval, approval] }),
    `${invalid}status.conditions[1].type: Duplicate value: "Approved"`,
  );
  assert.equal((await write('approval', { conditions: [approval] })).code, 200);
  const removal = `${invalid}status.conditions: Forbidden: updates may not remove a condition of type "Approved"`;
  assert.equal(await refusal('approval', {}), removal);
  assert.equal(await refusal('status', {}), removal);
});

test('the status takes a certificate once, and no decision', async () => {
  await using scope = new Scope();
  const { write, refusal } = await start(scope);
  const { X509CertificateGenerator } = await loadX509();
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const made = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=a',
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
  });
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const certificate = base64(made.toString('pem'));
  const invalid = 'CertificateSigningRequest.certificates.k8s.io "r" is invalid: ';
  assert.equal(
    await refusal('status', { conditions: [approval] }),
    `${invalid}status.conditions: Forbidden: updates may not add a condition of type "Approved"`,
  );
  assert.equal(
    await refusal('status', { certificate: 'eA==' }),
    `${invalid}status.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM block`,
  );
  assert.equal(
    await refusal('status', { certificate: base64('-----BEGIN KEY-----\neA==\n-----END KEY-----\n') }),
    `${invalid}status.certificate: Invalid value: "<certificate data>": only CERTIFICATE PEM blocks are allowed, found "KEY"`,
  );
  assert.equal((await write('approval', { conditions: [{ ...approval, ...times }] })).code, 200);
  // Who signs may leave out the times of the decision: it stays as it was.
  const signed = await write('status', { conditions: [approval], certificate });
  assert.equal(signed.code, 200, signed.text);
  assert.deepEqual(signed.object['status'], { conditions: [{ ...approval, ...times }], certificate });
  assert.equal(
    await refusal('status', { conditions: [approval] }),
    `${invalid}status.certificate: Forbidden: updates may not modify existing certificate content`,
  );
});

test('who approves and signs may do so for the signer, by its name or its domain', async () => {
  await using scope = new Scope();
  const { call, write } = await start(scope);
  const grant = async (name: string, verb: string, signer: string) => {
    const rules = [
      { apiGroups: ['certificates.k8s.io'], resources: ['signers'], resourceNames: [signer], verbs: [verb] },
      {
        apiGroups: ['certificates.k8s.io'],
        resources: ['certificatesigningrequests/approval', 'certificatesigningrequests/status'],
        verbs: ['update'],
      },
    ];
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    await call('POST', `${rbac}/clusterroles`, { body: { metadata: { name }, rules } });
    const subjects = [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name }];
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
    await call('POST', `${rbac}/clusterrolebindings`, { body: { metadata: { name }, roleRef, subjects } });
    // What was written is in force when the server has seen it.
    await call('GET', `${rbac}/clusterrolebindings`);
    return { user: name, groups: ['system:authenticated'] };
  };
  const other = await grant('other', 'approve', 'example.org/signer');
  const named = await grant('named', 'approve', 'example.com/signer');
  const domain = await grant('domain', 'approve', 'example.com/*');
  const signer = await grant('signer', 'sign', 'example.com/*');
  const conditions = [approval];
  const refused = 'certificatesigningrequests.certificates.k8s.io "r" is forbidden: user not permitted to';
  for (const user of [other, signer]) {
    const { code, object } = await write('approval', { conditions }, user);
    assert.equal(code, 403);
    assert.equal(object['message'], `${refused} approve requests with signerName "example.com/signer"`);
  }
  for (const user of [named, domain]) assert.equal((await write('approval', { conditions }, user)).code, 200);
  const failed = { conditions: [approval, { type: 'Failed', status: 'True' }] };
  const { code, object } = await write('status', failed, named);
  assert.equal(code, 403);
  assert.equal(object['message'], `${refused} sign requests with signerName "example.com/signer"`);
  assert.equal((await write('status', failed, signer)).code, 200);
});

test('who asks is written by the server; nobody asks for a client of system:masters', async () => {
  await using scope = new Scope();
  const { call, made } = await start(scope);
  assert.deepEqual(made['spec'], {
    ...minimal.spec,
    username: 'admin',
    groups: ['system:masters', 'system:authenticated'],
  });
  const forged = {
    ...minimal.spec,
    username: 'system:node:n',
    uid: '1',
    groups: ['system:nodes'],
    extra: { a: ['b'] },
  };
  const { object } = await call('POST', requests, { body: { metadata: { name: 'forged' }, spec: forged } });
  assert.deepEqual(object['spec'], made['spec']);
  const { Pkcs10CertificateRequestGenerator } = await loadX509();
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const ask = async (organization: string) => {
    const name = `CN=a, O=${organization}`;
    const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' };
    const pem = (await Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm })).toString('pem');
    const spec = {
      ...minimal.spec,
      request: Buffer.from(pem).toString('base64'),
      signerName: 'kubernetes.io/kube-apiserver-client',
    };
    return call('POST', requests, { body: { metadata: { name: 'client' }, spec } });
  };
  const refused = await ask('system:masters');
  assert.equal(refused.code, 403);
  assert.equal(
    refused.object['message'],
    'certificatesigningrequests.certificates.k8s.io "client" is forbidden: use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed',
  );
  const allowed = await ask('system:nodes');
  assert.equal(allowed.code, 201, allowed.text);
});
