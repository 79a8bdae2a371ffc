/** The plugins that need nothing but objects: limit ranges, default classes, new nodes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { resources } from '#api-kube/resources.ts';
import type { AdmissionPlugin, AdmissionRequest, Operation } from '../admission.ts';
import type { KubeObject } from '../object.ts';
import type { ObjectReader } from '../reader.ts';
import { defaultIngressClass } from './default-ingress-class.ts';
import { limitRanger } from './limit-ranger.ts';
import { taintNodesByCondition } from './taint-nodes-by-condition.ts';

/** Objects by `resource/namespace/name`. */
function readerOf(objects: Readonly<Record<string, object>>): ObjectReader {
  const all = new Map(Object.entries(objects)) as Map<string, KubeObject>;
  const get = ({ resource }: { resource: string }, namespace: string, name: string) =>
    all.get(`${resource}/${namespace}/${name}`);
  return {
    get,
    getLatest: async (...key) => get(...key),
    *list({ resource }, namespace) {
      for (const [key, object] of all)
        if (key.startsWith(`${resource}/${namespace === undefined ? '' : `${namespace}/`}`)) yield object;
    },
    watch: () => ({ [Symbol.dispose]() {} }),
  };
}

function requestFor(resource: string, fields: object, operation: Operation = 'CREATE'): AdmissionRequest {
  const object = { apiVersion: 'v1', kind: 'Any', metadata: { name: 'x', namespace: 'default' }, ...fields };
  return {
    operation,
    resource: resources.find((one) => one.resource === resource)!,
    subresource: '',
    namespace: 'default',
    name: 'x',
    object,
    oldObject: undefined,
    user: { name: 'ann', groups: [] },
    dryRun: false,
    signal: new AbortController().signal,
  };
}

/** The object as stored, or the words of the refusal. */
async function admit(plugin: AdmissionPlugin, request: AdmissionRequest): Promise<KubeObject | string> {
  assert.ok(plugin.handles(request));
  try {
    const object = plugin.mutate === undefined ? request.object : await plugin.mutate(request);
    await plugin.validate?.({ ...request, object });
    return object!;
  } catch (error) {
    return (error as Error).message;
  }
}

const container = (name: string, requests?: object, limits?: object) => ({
  name,
  ...((requests ?? limits) && { resources: { ...(requests && { requests }), ...(limits && { limits }) } }),
});
const range = (...limits: object[]) => ({ 'limitranges/default/a': { metadata: { name: 'a' }, spec: { limits } } });

test('containers that say nothing get the defaults, and the pod tells which', async () => {
  const plugin = limitRanger(
    readerOf(range({ type: 'Container', default: { cpu: '1', memory: '1Gi' }, defaultRequest: { cpu: '100m' } })),
  );
  const spec = { initContainers: [container('i')], containers: [container('c', { cpu: '50m' }, { memory: '2Gi' })] };
  const pod = (await admit(plugin, requestFor('pods', { spec }))) as KubeObject;
  assert.deepEqual(pod['spec'], {
    initContainers: [{ name: 'i', resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '100m' } } }],
    containers: [{ name: 'c', resources: { limits: { cpu: '1', memory: '2Gi' }, requests: { cpu: '50m' } } }],
  });
  assert.equal(
    pod.metadata.annotations?.['kubernetes.io/limit-ranger'],
    'LimitRanger plugin set: cpu limit for container c; cpu request for init container i; cpu, memory limit for init container i',
  );
});

test('bounds of containers, in upstream words, all at once', async () => {
  const bounds = { type: 'Container', min: { memory: '100Mi' }, max: { cpu: '1' }, maxLimitRequestRatio: { cpu: '2' } };
  const plugin = limitRanger(readerOf(range(bounds)));
  const ask = (requests?: object, limits?: object) =>
    admit(plugin, requestFor('pods', { spec: { containers: [container('c', requests, limits)] } }));
  const fine = await ask({ cpu: '500m', memory: '100Mi' }, { cpu: '1' });
  assert.notEqual(typeof fine, 'string', String(fine));
  assert.equal(
    await ask({ cpu: '500m', memory: '50Mi' }, { cpu: '2' }),
    'pods "x" is forbidden: [minimum memory usage per Container is 100Mi, but request is 50Mi, maximum cpu usage per Container is 1, but limit is 2, cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000]',
  );
  assert.equal(
    await ask({ cpu: '1', memory: '1Gi' }),
    'pods "x" is forbidden: [maximum cpu usage per Container is 1.  No limit is specified, cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0]',
  );
});

test('a pod needs what its containers need together, or its hungriest init container', async () => {
  const plugin = limitRanger(readerOf(range({ type: 'Pod', max: { cpu: '2' } })));
  const ask = (initContainers: object[], containers: object[]) =>
    admit(plugin, requestFor('pods', { spec: { initContainers, containers } }));
  const one = container('c', undefined, { cpu: '1' });
  assert.notEqual(typeof (await ask([one], [one, one])), 'string');
  const many = 'pods "x" is forbidden: maximum cpu usage per Pod is 2, but limit is 3';
  assert.equal(await ask([], [one, one, one]), many);
  assert.equal(await ask([container('i', undefined, { cpu: '3' })], [one]), many);
});

test('claims have bounds on what they ask for; those that go away have none', async () => {
  const bounds = { type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '10Gi' } };
  const plugin = limitRanger(readerOf(range(bounds)));
  const spec = { resources: { requests: { storage: '20Gi' } } };
  assert.equal(
    await admit(plugin, requestFor('persistentvolumeclaims', { spec })),
    'persistentvolumeclaims "x" is forbidden: maximum storage usage per PersistentVolumeClaim is 10Gi, but request is 20Gi',
  );
  const metadata = { name: 'x', namespace: 'default', deletionTimestamp: '2026-01-01T00:00:00Z' };
  assert.notEqual(
    typeof (await admit(plugin, requestFor('persistentvolumeclaims', { metadata, spec }, 'UPDATE'))),
    'string',
  );
});

test('limits of another namespace do not count', async () => {
  const plugin = limitRanger(
    readerOf({ 'limitranges/other/a': { metadata: {}, spec: { limits: [{ type: 'Pod', max: { cpu: '1' } }] } } }),
  );
  const request = requestFor('pods', { spec: { containers: [container('c')] } });
  assert.equal(await admit(plugin, request), request.object);
});

test('an ingress without a class gets the newest default', async () => {
  const ingressClass = (name: string, creationTimestamp: string, isDefault: boolean) => ({
    metadata: {
      name,
      creationTimestamp,
      annotations: { 'ingressclass.kubernetes.io/is-default-class': String(isDefault) },
    },
  });
  const plugin = defaultIngressClass(
    readerOf({
      'ingressclasses//old': ingressClass('old', '2026-01-01T00:00:00Z', true),
      'ingressclasses//b': ingressClass('b', '2026-01-02T00:00:00Z', true),
      'ingressclasses//a': ingressClass('a', '2026-01-02T00:00:00Z', true),
      'ingressclasses//no': ingressClass('no', '2026-01-03T00:00:00Z', false),
    }),
  );
  const classOf = async (fields: object) =>
    ((await admit(plugin, requestFor('ingresses', fields))) as KubeObject & { spec: object }).spec;
  assert.deepEqual(await classOf({ spec: {} }), { ingressClassName: 'a' });
  assert.deepEqual(await classOf({ spec: { ingressClassName: 'mine' } }), { ingressClassName: 'mine' });
  const metadata = { name: 'x', annotations: { 'kubernetes.io/ingress.class': 'mine' } };
  assert.deepEqual(await classOf({ metadata, spec: {} }), {});
});

test('a new node is tainted once', async () => {
  const taint = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };
  const first = (await admit(taintNodesByCondition, requestFor('nodes', {}))) as KubeObject;
  assert.deepEqual(first['spec'], { taints: [taint] });
  const again = requestFor('nodes', { spec: { taints: [taint] } });
  assert.equal(await admit(taintNodesByCondition, again), again.object);
});
