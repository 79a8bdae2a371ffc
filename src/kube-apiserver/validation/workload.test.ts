/** Workloads and jobs that are refused, at creation and at updates: upstream's paths and texts to the letter. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { resources } from '#api-kube/resources.ts';
import { formatFieldError } from '#kube-machinery/field-error.ts';
import { defaultObject } from '../defaults/default-object.ts';
import type { KubeObject } from '../object.ts';
import { validateCreate, validateUpdate } from './validate.ts';

type Fields = Record<string, unknown>;

const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'c', image: 'x' }] } };
const selector = { matchLabels: { app: 'a' } };

function make(kind: string, spec: Fields): { resource: (typeof resources)[number]; object: KubeObject } {
  const resource = resources.find((entry) => entry.kind === kind)!;
  const { group, version } = resource;
  const object = { apiVersion: 'v1', kind, metadata: { name: 'w', namespace: 'default', uid: 'u' }, spec };
  return { resource, object: defaultObject({ group, version, kind }, object) };
}

function errorsOf(kind: string, spec: Fields): string[] {
  const { resource, object } = make(kind, { selector, template, ...spec });
  return validateCreate(resource, object).map(formatFieldError);
}

function updateErrors(kind: string, before: Fields, after: Fields): string[] {
  const { resource, object: old } = make(kind, { selector, template, ...before });
  return validateUpdate(resource, make(kind, { selector, template, ...after }).object, old).map(formatFieldError);
}

const kinds = ['Deployment', 'ReplicaSet', 'DaemonSet', 'StatefulSet'];

test('what is right is taken', () => {
  for (const kind of kinds) assert.deepEqual(errorsOf(kind, {}), [], kind);
  assert.deepEqual(errorsOf('ReplicationController', { selector: { app: 'a' } }), []);
});

test('selectors: there, not empty, and met by the template', () => {
  for (const kind of kinds) {
    assert.deepEqual(errorsOf(kind, { selector: undefined })[0], 'spec.selector: Required value', kind);
    assert.deepEqual(errorsOf(kind, { selector: { matchLabels: { app: 'b' } } }), [
      'spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`',
    ]);
    const named = kind === 'ReplicaSet' ? 'deployment' : kind.toLowerCase();
    assert.deepEqual(errorsOf(kind, { selector: {} }), [
      `spec.selector: Invalid value: {}: empty selector is invalid for ${named}`,
    ]);
  }
  assert.deepEqual(errorsOf('Deployment', { selector: { matchExpressions: [{ key: 'app', operator: 'Near' }] } }), [
    'spec.selector.matchExpressions[0].operator: Invalid value: "Near": not a valid selector operator',
    'spec.selector: Invalid value: {"matchExpressions":[{"key":"app","operator":"Near"}]}: invalid label selector',
  ]);
});

test('templates: pods that run always, and have no debugging containers', () => {
  const with_ = (more: object) => ({ template: { ...template, spec: { ...template.spec, ...more } } });
  assert.deepEqual(errorsOf('Deployment', with_({ restartPolicy: 'Never', activeDeadlineSeconds: 5 })), [
    'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    'spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported',
  ]);
  assert.deepEqual(errorsOf('DaemonSet', with_({ activeDeadlineSeconds: 5 })), [
    'spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported',
  ]);
  assert.deepEqual(errorsOf('Deployment', { template: { ...template, metadata: { labels: { app: 'a', x: '-' } } } }), [
    "spec.template.labels: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
  ]);
});

test('numbers and strategies', () => {
  assert.deepEqual(
    errorsOf('Deployment', {
      replicas: -1,
      progressDeadlineSeconds: 5,
      minReadySeconds: 5,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: '0%' } },
    }),
    [
      'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
      'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0',
      'spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds',
    ],
  );
  assert.deepEqual(errorsOf('Deployment', { strategy: { type: 'Recreate', rollingUpdate: { maxSurge: 1 } } }), [
    "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
  ]);
  assert.deepEqual(errorsOf('Deployment', { strategy: { type: 'Slow' } }), [
    'spec.strategy: Unsupported value: {"Type":"Slow","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate"',
  ]);
  assert.deepEqual(errorsOf('Deployment', { strategy: { rollingUpdate: { maxUnavailable: '150%', maxSurge: 'x' } } }), [
    "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
    'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "150%": must not be greater than 100%',
  ]);
  assert.deepEqual(errorsOf('DaemonSet', { updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } } }), [
    'spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero',
  ]);
  assert.deepEqual(errorsOf('StatefulSet', { podManagementPolicy: 'Any', updateStrategy: { type: 'Soon' } }), [
    "spec.podManagementPolicy: Invalid value: \"Any\": must be 'OrderedReady' or 'Parallel'",
    'spec.updateStrategy: Invalid value: {"Type":"Soon","RollingUpdate":null}: must be \'RollingUpdate\' or \'OnDelete\'',
  ]);
});

test('updates: selectors stay, and most of a stateful set', () => {
  const wider = { matchLabels: { app: 'a', b: 'c' } };
  const labels = { ...template, metadata: { labels: { app: 'a', b: 'c' } } };
  assert.deepEqual(updateErrors('Deployment', {}, { selector: wider, template: labels }), [
    'spec.selector: Invalid value: {"matchLabels":{"app":"a","b":"c"}}: field is immutable',
  ]);
  assert.deepEqual(updateErrors('StatefulSet', {}, { replicas: 3, minReadySeconds: 1 }), []);
  assert.deepEqual(updateErrors('StatefulSet', {}, { serviceName: 'other' }), [
    "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
  ]);
});

test('jobs end: their user says how, and what they run stays', () => {
  const once = { ...template, spec: { ...template.spec, restartPolicy: 'Never' } };
  assert.deepEqual(errorsOf('Job', { template: once }), []);
  assert.deepEqual(errorsOf('Job', {}), [
    'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
  ]);
  assert.deepEqual(errorsOf('Job', { template: once, completionMode: 'Indexed', parallelism: -1 }), [
    'spec.parallelism: Invalid value: -1: must be greater than or equal to 0',
    'spec.completions: Required value: when completion mode is Indexed',
  ]);
  const [changed] = updateErrors(
    'Job',
    { template: once },
    { template: { ...once, spec: { ...once.spec, hostNetwork: true } } },
  );
  assert.match(changed!, /^spec\.template: Invalid value: \{.*\}: field is immutable$/);
  const cron = (schedule: string) =>
    errorsOf('CronJob', {
      selector: undefined,
      template: undefined,
      schedule,
      jobTemplate: { spec: { template: once } },
    });
  assert.deepEqual(cron('*/5 * * * *'), []);
  assert.deepEqual(cron('@hourly'), []);
  assert.deepEqual(cron('* * * *'), [
    'spec.schedule: Invalid value: "* * * *": expected exactly 5 fields, found 4: [* * * *]',
  ]);
});
