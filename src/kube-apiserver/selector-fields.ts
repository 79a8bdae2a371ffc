/** By which fields a kind may be selected, besides name and namespace. Source: the ToSelectableFields of upstream's registries. */
import type { KubeObject } from './object.ts';

type Read = (object: KubeObject) => string;

const at =
  (...path: string[]): Read =>
  (object) => {
    let value: unknown = object;
    for (const key of path) value = (value as Readonly<Record<string, unknown>> | undefined)?.[key];
    return value === undefined || value === null ? '' : String(value);
  };

/** A boolean that is left out is false. */
const flagAt =
  (...path: string[]): Read =>
  (object) =>
    at(...path)(object) || 'false';

const involved = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];

const byResource: Readonly<Record<string, Readonly<Record<string, Read>>>> = {
  pods: {
    'spec.nodeName': at('spec', 'nodeName'),
    'spec.restartPolicy': at('spec', 'restartPolicy'),
    'spec.schedulerName': at('spec', 'schedulerName'),
    'spec.serviceAccountName': at('spec', 'serviceAccountName'),
    'spec.hostNetwork': flagAt('spec', 'hostNetwork'),
    'status.phase': at('status', 'phase'),
    'status.podIP': at('status', 'podIP'),
    'status.nominatedNodeName': at('status', 'nominatedNodeName'),
  },
  nodes: { 'spec.unschedulable': flagAt('spec', 'unschedulable') },
  namespaces: { 'status.phase': at('status', 'phase') },
  secrets: { type: at('type') },
  services: { 'spec.clusterIP': at('spec', 'clusterIP'), 'spec.type': at('spec', 'type') },
  events: {
    ...Object.fromEntries(involved.map((field) => [`involvedObject.${field}`, at('involvedObject', field)])),
    reason: at('reason'),
    reportingComponent: at('reportingComponent'),
    source: (object) => at('source', 'component')(object) || at('reportingComponent')(object),
    type: at('type'),
  },
  'events.events.k8s.io': {
    ...Object.fromEntries(involved.map((field) => [`regarding.${field}`, at('involvedObject', field)])),
    reason: at('reason'),
    reportingController: at('reportingComponent'),
    type: at('type'),
  },
  replicationcontrollers: { 'status.replicas': (object) => at('status', 'replicas')(object) || '0' },
  'replicasets.apps': { 'status.replicas': (object) => at('status', 'replicas')(object) || '0' },
  'jobs.batch': { 'status.successful': (object) => at('status', 'succeeded')(object) || '0' },
  'certificatesigningrequests.certificates.k8s.io': { 'spec.signerName': at('spec', 'signerName') },
  'resourceslices.resource.k8s.io': {
    'spec.nodeName': at('spec', 'nodeName'),
    'spec.driver': at('spec', 'driver'),
  },
  'ipaddresses.networking.k8s.io': { 'spec.parentRef.resource': at('spec', 'parentRef', 'resource') },
};

/** Every kind has these. */
const common: Readonly<Record<string, Read>> = {
  'metadata.name': at('metadata', 'name'),
  'metadata.namespace': at('metadata', 'namespace'),
};

/** Readers of the stored form, by field. */
export function selectorFieldsOf(group: string, resource: string, namespaced: boolean): Readonly<Record<string, Read>> {
  const { 'metadata.namespace': namespace, ...cluster } = common;
  const own = byResource[group === '' ? resource : `${resource}.${group}`] ?? {};
  return { ...cluster, ...(namespaced && { 'metadata.namespace': namespace! }), ...own };
}
