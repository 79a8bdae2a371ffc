/** Objects of the smaller kinds that are refused: upstream's paths and texts to the letter. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { resources } from '#api-kube/resources.ts';
import { formatFieldError } from '#kube-machinery/field-error.ts';
import { minimalObjects } from '#testkit/minimal-objects.ts';
import { defaultObject } from '../defaults/default-object.ts';
import type { KubeObject } from '../object.ts';
import { validateCreate, validateUpdate } from './validate.ts';

const find = (key: string) => {
  const resource = resources.find(
    ({ group, version, resource: name }) => `${name}${group === '' ? '' : `.${group}`}/${version}` === key,
  );
  assert.ok(resource, key);
  return resource;
};

function make(key: string, body: object): KubeObject {
  const { group, version, kind, namespaced } = find(key);
  const object = {
    apiVersion: version,
    kind,
    metadata: { name: 'a', ...(namespaced && { namespace: 'suite' }), uid: 'u' },
    ...body,
  };
  return defaultObject({ group, version, kind }, object);
}

const errorsOf = (key: string, body: object) => validateCreate(find(key), make(key, body)).map(formatFieldError);
const updateErrors = (key: string, before: object, after: object) =>
  validateUpdate(find(key), make(key, after), make(key, before)).map(formatFieldError);

test('minimal objects are right', () => {
  for (const [key, { body, name }] of Object.entries(minimalObjects)) {
    // The server chooses a job's selector before it validates; events of the new group are validated as they are stored, in the old one.
    if (key === 'jobs.batch/v1' || key === 'events.events.k8s.io/v1') continue;
    const object = make(key, typeof body === 'function' ? body('a') : (body ?? {}));
    const named = { ...object, metadata: { ...object.metadata, name: name?.('a') ?? 'a' } };
    assert.deepEqual(validateCreate(find(key), named).map(formatFieldError), [], key);
  }
});

test('metadata', () => {
  assert.deepEqual(errorsOf('configmaps/v1', { metadata: { name: 'A', namespace: 'suite' } }), [
    "metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
  ]);
  assert.deepEqual(errorsOf('configmaps/v1', { metadata: { namespace: 'suite' } }), [
    'metadata.name: Required value: name or generateName is required',
  ]);
  assert.deepEqual(errorsOf('nodes/v1', { metadata: { name: 'n', namespace: 'x' } }), [
    'metadata.namespace: Forbidden: not allowed on this type',
  ]);
  assert.deepEqual(errorsOf('roles.rbac.authorization.k8s.io/v1', { metadata: { name: 'a/b', namespace: 'suite' } }), [
    'metadata.name: Invalid value: "a/b": may not contain \'/\'',
  ]);
  const renamed = { metadata: { name: 'b', namespace: 'suite', uid: 'u' } };
  assert.deepEqual(updateErrors('configmaps/v1', {}, renamed), [
    'metadata.name: Invalid value: "b": field is immutable',
  ]);
});

test('data', () => {
  assert.deepEqual(errorsOf('secrets/v1', { type: 'kubernetes.io/tls', data: { 'tls.crt': '' } }), [
    'data[tls.key]: Required value',
  ]);
  assert.deepEqual(updateErrors('secrets/v1', { type: 'Opaque' }, { type: 'other' }), [
    'type: Invalid value: "other": field is immutable',
  ]);
  assert.deepEqual(updateErrors('configmaps/v1', { immutable: true }, { immutable: true, data: { a: 'b' } }), [
    'data: Forbidden: field is immutable when `immutable` is set',
  ]);
});

test('ingresses', () => {
  const ingress = 'ingresses.networking.k8s.io/v1';
  assert.deepEqual(errorsOf(ingress, { spec: {} }), [
    'spec: Invalid value: null: either `defaultBackend` or `rules` must be specified',
  ]);
  const backend = { service: { name: 's', port: { number: 80 } } };
  const rule = (more: object) => ({
    spec: { rules: [{ http: { paths: [{ path: '/', pathType: 'Prefix', backend, ...more }] } }] },
  });
  assert.deepEqual(errorsOf(ingress, rule({})), []);
  assert.deepEqual(errorsOf(ingress, rule({ path: 'a//b' })), [
    'spec.rules[0].http.paths[0].path: Invalid value: "a//b": must be an absolute path',
    'spec.rules[0].http.paths[0].path: Invalid value: "a//b": must not contain \'//\'',
  ]);
  assert.deepEqual(errorsOf(ingress, rule({ pathType: undefined })), [
    'spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified',
  ]);
  assert.deepEqual(errorsOf(ingress, rule({ backend: { service: { name: 's' } } })), [
    'spec.rules[0].http.paths[0].backend: Required value: port name or number is required',
  ]);
  assert.deepEqual(errorsOf(ingress, { spec: { rules: [{ host: '10.0.0.1' }] } }), [
    'spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
  ]);
});

test('network policies', () => {
  assert.deepEqual(
    errorsOf('networkpolicies.networking.k8s.io/v1', {
      spec: {
        podSelector: {},
        ingress: [
          { from: [{}, { ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }], ports: [{ port: 9, endPort: 8 }] },
        ],
        policyTypes: ['Both'],
      },
    }),
    [
      'spec.ingress[0].ports[0].endPort: Invalid value: 8: must be greater than or equal to `port`',
      'spec.ingress[0].from[0]: Required value: must specify a peer',
      'spec.ingress[0].from[1]: Forbidden: may not specify both ipBlock and another peer',
      'spec.policyTypes[0]: Unsupported value: "Both": supported values: "Egress", "Ingress"',
    ],
  );
});

test('endpoint slices', () => {
  const slices = 'endpointslices.discovery.k8s.io/v1';
  assert.deepEqual(errorsOf(slices, { endpoints: [{ addresses: [] }], ports: [{ port: 1 }, { port: 2 }] }), [
    'addressType: Required value',
    'endpoints[0].addresses: Required value: must contain at least 1 endpoint address',
    'ports[1].name: Duplicate value: ""',
  ]);
  assert.deepEqual(updateErrors(slices, { addressType: 'IPv4' }, { addressType: 'IPv6' }), [
    'addressType: Invalid value: "IPv6": field is immutable',
  ]);
});

test('budgets and autoscalers', () => {
  assert.deepEqual(
    errorsOf('poddisruptionbudgets.policy/v1', { spec: { minAvailable: 1, maxUnavailable: '5' } }).slice(1),
    [
      "spec.maxUnavailable: Invalid value: \"5\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
    ],
  );
  assert.deepEqual(
    errorsOf('horizontalpodautoscalers.autoscaling/v2', {
      spec: { minReplicas: 3, maxReplicas: 2, scaleTargetRef: { kind: 'Deployment' } },
    }),
    [
      'spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`',
      'spec.scaleTargetRef.name: Required value',
    ],
  );
});

test('storage', () => {
  assert.deepEqual(errorsOf('persistentvolumeclaims/v1', { spec: { accessModes: ['Any'] } }), [
    'spec.accessModes: Unsupported value: "Any": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
    'spec.resources[storage]: Required value',
  ]);
  assert.deepEqual(errorsOf('persistentvolumes/v1', { spec: { accessModes: ['ReadWriteOnce'] } }), [
    'spec.capacity: Required value',
    'spec: Required value: must specify a volume type',
  ]);
  const classes = 'storageclasses.storage.k8s.io/v1';
  assert.deepEqual(updateErrors(classes, { provisioner: 'a.b/c' }, { provisioner: 'a.b/d', reclaimPolicy: 'Retain' }), [
    'provisioner: Forbidden: updates to provisioner are forbidden.',
    'reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.',
  ]);
});

test('roles and bindings', () => {
  const group = '.rbac.authorization.k8s.io/v1';
  assert.deepEqual(errorsOf(`roles${group}`, { rules: [{ verbs: ['get'], nonResourceURLs: ['/x'] }, {}] }), [
    'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
    'rules[1].verbs: Required value: verbs must contain at least one value',
    'rules[1].apiGroups: Required value: resource rules must supply at least one api group',
    'rules[1].resources: Required value: resource rules must supply at least one resource',
  ]);
  const roleRef = { kind: 'ClusterRole', name: 'r', apiGroup: 'rbac.authorization.k8s.io' };
  assert.deepEqual(updateErrors(`clusterrolebindings${group}`, { roleRef }, { roleRef: { ...roleRef, name: 's' } }), [
    'roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"ClusterRole","Name":"s"}: cannot change roleRef',
  ]);
  assert.deepEqual(
    errorsOf(`clusterrolebindings${group}`, {
      roleRef,
      subjects: [
        { kind: 'ServiceAccount', name: 'a' },
        { kind: 'Cat', name: 'b' },
      ],
    }),
    [
      'subjects[0].namespace: Required value',
      'subjects[1].kind: Unsupported value: "Cat": supported values: "ServiceAccount", "User", "Group"',
    ],
  );
});
