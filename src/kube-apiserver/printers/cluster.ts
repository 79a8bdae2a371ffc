/** Columns of the kinds that cluster administrators look at: quotas, certificates, admission, flow control, storage drivers, devices. */
import { type Columns, containerCells, duration, labels, since } from './cells.ts';

interface Counted {
  readonly name: string;
  readonly age: string;
}

/** Name, one count, age. */
const counted = (column: string, count: (object: Readonly<Record<string, never>>) => number): Columns => ({
  columns: ['Name', `${column}:integer`, 'Age:date'],
  row: ({ name, age }: Counted, object) => [name, count(object), age],
});

const lengthOf = (list: unknown): number => (Array.isArray(list) ? list.length : 0);
const webhooks = counted('Webhooks', ({ webhooks: list }) => lengthOf(list));
const paramKind = (kind: { apiVersion?: string; kind?: string } | undefined) =>
  kind === undefined ? '<unset>' : `${kind.apiVersion}/${kind.kind}`;

const binding: Columns = {
  columns: ['Name', 'PolicyName', 'ParamRef', 'Age:date'],
  row: ({ name, age }, { spec = {} }) => {
    const { namespace, name: param } = spec.paramRef ?? {};
    const reference = param === undefined ? '<unset>' : namespace ? `${namespace}/${param}` : param;
    return [name, spec.policyName ?? '', reference, age];
  },
};

const autoscaler: Columns = {
  columns: ['Name', 'Reference', 'Targets', 'MinPods', 'MaxPods:integer', 'Replicas:integer', 'Age:date'],
  row: ({ name, age }, { spec = {}, status = {} }) => [
    name,
    `${spec.scaleTargetRef?.kind ?? ''}/${spec.scaleTargetRef?.name ?? ''}`,
    targets(spec.metrics ?? [], status.currentMetrics ?? []),
    spec.minReplicas === undefined ? '<unset>' : String(spec.minReplicas),
    spec.maxReplicas ?? 0,
    status.currentReplicas ?? 0,
    age,
  ],
};

interface Amount {
  readonly averageValue?: string;
  readonly averageUtilization?: number;
  readonly value?: string;
}
type Metric = { readonly type: string } & Readonly<
  Record<string, { readonly name?: string; readonly target?: Amount; readonly current?: Amount } | undefined>
>;

/** The first two metrics, as `cpu: 12%/80%`. */
function targets(metrics: readonly Metric[], current: readonly Metric[]): string {
  if (metrics.length === 0) return '<none>';
  const texts = metrics.map((metric, index) => {
    const source = metric.type.slice(0, 1).toLowerCase() + metric.type.slice(1);
    const wanted = metric[source];
    const now = current[index]?.[source]?.current;
    const named = source === 'resource' || source === 'containerResource' ? `${wanted?.name}: ` : '';
    const { averageValue, averageUtilization, value } = wanted?.target ?? {};
    if (averageValue !== undefined)
      return `${named}${now?.averageValue ?? '<unknown>'}/${averageValue}${named === '' ? ' (avg)' : ''}`;
    if (value !== undefined) return `${named}${now?.value ?? '<unknown>'}/${value}`;
    const used = now?.averageUtilization === undefined ? '<unknown>' : `${now.averageUtilization}%`;
    return `${named}${used}/${averageUtilization === undefined ? '<auto>' : `${averageUtilization}%`}`;
  });
  const shown = texts.slice(0, 2).join(', ');
  return texts.length > 2 ? `${shown} + ${texts.length - 2} more...` : shown;
}

/** `pods: 1/4, services: 0/2`, of the resources that are limits or of the others. */
function quota(
  hard: Readonly<Record<string, string>>,
  used: Readonly<Record<string, string>>,
  limits: boolean,
): string {
  return Object.keys(hard)
    .sort()
    .filter((resource) => resource.startsWith('limits.') === limits)
    .map((resource) => `${resource}: ${used[resource] ?? '0'}/${hard[resource]}`)
    .join(', ');
}

function requestState(status: {
  readonly certificate?: string;
  readonly conditions?: readonly { readonly type: string }[];
}): string {
  const types = (status.conditions ?? []).map(({ type }) => type);
  const failed = types.includes('Failed') ? ',Failed' : '';
  const issued = status.certificate ? ',Issued' : '';
  if (types.includes('Denied')) return `Denied${failed}${issued}`;
  return `${types.includes('Approved') ? 'Approved' : 'Pending'}${failed}${issued}`;
}

export const clusterPrinters: Readonly<Record<string, Columns>> = {
  PodTemplate: {
    columns: ['Name', 'Containers', 'Images', 'Pod Labels'],
    row: ({ name }, { template = {} }) => [
      name,
      ...containerCells(template.spec?.containers),
      labels(template.metadata?.labels),
    ],
  },
  ResourceQuota: {
    columns: ['Name', 'Request', 'Limit', 'Age:date'],
    row: ({ name, age }, { status = {} }) => [
      name,
      quota(status.hard ?? {}, status.used ?? {}, false),
      quota(status.hard ?? {}, status.used ?? {}, true),
      age,
    ],
  },
  'HorizontalPodAutoscaler.autoscaling': autoscaler,
  'ControllerRevision.apps': {
    columns: ['Name', 'Controller', 'Revision:integer', 'Age:date'],
    row: ({ name, age }, { metadata, apiVersion: _, revision = 0 }) => {
      const owner = (metadata.ownerReferences ?? []).find(({ controller }: { controller?: boolean }) => controller);
      const group = owner?.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : '';
      return [
        name,
        owner === undefined ? '<none>' : `${owner.kind.toLowerCase()}${group}/${owner.name}`,
        revision,
        age,
      ];
    },
  },
  'CertificateSigningRequest.certificates.k8s.io': {
    columns: ['Name', 'Age:date', 'SignerName', 'Requestor', 'RequestedDuration', 'Condition'],
    row: ({ name, age }, { spec = {}, status = {} }) => [
      name,
      age,
      spec.signerName ?? '<none>',
      spec.username ?? '',
      spec.expirationSeconds === undefined ? '<none>' : duration(spec.expirationSeconds * 1000),
      requestState(status),
    ],
  },
  'MutatingWebhookConfiguration.admissionregistration.k8s.io': webhooks,
  'ValidatingWebhookConfiguration.admissionregistration.k8s.io': webhooks,
  'ValidatingAdmissionPolicy.admissionregistration.k8s.io': {
    columns: ['Name', 'Validations:integer', 'ParamKind', 'Age:date'],
    row: ({ name, age }, { spec = {} }) => [name, lengthOf(spec.validations), paramKind(spec.paramKind), age],
  },
  'MutatingAdmissionPolicy.admissionregistration.k8s.io': {
    columns: ['Name', 'Mutations:integer', 'ParamKind', 'Age:date'],
    row: ({ name, age }, { spec = {} }) => [name, lengthOf(spec.mutations), paramKind(spec.paramKind), age],
  },
  'ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io': binding,
  'MutatingAdmissionPolicyBinding.admissionregistration.k8s.io': binding,
  'CustomResourceDefinition.apiextensions.k8s.io': {
    columns: ['Name', 'Created At:date'],
    row: ({ name }, { metadata }) => [name, metadata.creationTimestamp ?? ''],
  },
  'APIService.apiregistration.k8s.io': {
    columns: ['Name', 'Service', 'Available', 'Age:date'],
    row: ({ name, age }, { spec = {}, status = {} }) => {
      const service = spec.service === undefined ? 'Local' : `${spec.service.namespace}/${spec.service.name}`;
      const condition = (status.conditions ?? []).find(({ type }: { type: string }) => type === 'Available');
      const available = condition?.status ?? 'Unknown';
      return [
        name,
        service,
        available === 'True' ? available : condition ? `${available} (${condition.reason})` : available,
        age,
      ];
    },
  },
  'FlowSchema.flowcontrol.apiserver.k8s.io': {
    columns: ['Name', 'PriorityLevel', 'MatchingPrecedence:integer', 'DistinguisherMethod', 'Age:date', 'MissingPL'],
    row: ({ name, age }, { spec = {}, status = {} }) => [
      name,
      spec.priorityLevelConfiguration?.name ?? '<none>',
      spec.matchingPrecedence ?? 0,
      spec.distinguisherMethod?.type ?? '<none>',
      age,
      (status.conditions ?? []).find(({ type }: { type: string }) => type === 'Dangling')?.status ?? '?',
    ],
  },
  'PriorityLevelConfiguration.flowcontrol.apiserver.k8s.io': {
    columns: [
      'Name',
      'Type',
      'NominalConcurrencyShares:integer',
      'Queues:integer',
      'HandSize:integer',
      'QueueLengthLimit:integer',
      'Age:date',
    ],
    row: ({ name, age }, { spec = {} }) => {
      const queuing = spec.limited?.limitResponse?.queuing;
      return [
        name,
        spec.type ?? '',
        spec.limited?.nominalConcurrencyShares ?? '<none>',
        queuing?.queues ?? '<none>',
        queuing?.handSize ?? '<none>',
        queuing?.queueLengthLimit ?? '<none>',
        age,
      ];
    },
  },
  'RuntimeClass.node.k8s.io': {
    columns: ['Name', 'Handler', 'Age:date'],
    row: ({ name, age }, { handler = '' }) => [name, handler, age],
  },
  'VolumeAttachment.storage.k8s.io': {
    columns: ['Name', 'Attacher', 'PV', 'Node', 'Attached:boolean', 'Age:date'],
    row: ({ name, age }, { spec = {}, status = {} }) => [
      name,
      spec.attacher ?? '',
      spec.source?.persistentVolumeName ?? '',
      spec.nodeName ?? '',
      status.attached ?? false,
      age,
    ],
  },
  'CSIDriver.storage.k8s.io': {
    columns: [
      'Name',
      'AttachRequired:boolean',
      'PodInfoOnMount:boolean',
      'StorageCapacity:boolean',
      'TokenRequests',
      'RequiresRepublish:boolean',
      'Modes',
      'Age:date',
    ],
    row: ({ name, age }, { spec = {} }) => [
      name,
      spec.attachRequired ?? true,
      spec.podInfoOnMount ?? false,
      spec.storageCapacity ?? false,
      (spec.tokenRequests ?? []).map(({ audience }: { audience: string }) => audience).join(',') || '<unset>',
      spec.requiresRepublish ?? false,
      (spec.volumeLifecycleModes ?? []).join(',') || '<none>',
      age,
    ],
  },
  'CSINode.storage.k8s.io': {
    columns: ['Name', 'Drivers:integer', 'Age:date'],
    row: ({ name, age }, { spec = {} }) => [name, lengthOf(spec.drivers), age],
  },
  'CSIStorageCapacity.storage.k8s.io': {
    columns: ['Name', 'StorageClassName', 'Capacity'],
    row: ({ name }, { storageClassName = '', capacity }) => [name, storageClassName, capacity ?? '<unset>'],
  },
  'ResourceClaim.resource.k8s.io': {
    columns: ['Name', 'State', 'Age:date'],
    row: ({ name, age }, { metadata, status = {} }) => {
      const states = [
        ...(metadata.deletionTimestamp ? ['deleted'] : []),
        ...(status.allocation ? ['allocated'] : []),
        ...(lengthOf(status.reservedFor) > 0 ? ['reserved'] : []),
      ];
      return [name, states.length === 0 ? 'pending' : states.join(','), age];
    },
  },
  'ResourceSlice.resource.k8s.io': {
    columns: ['Name', 'Node', 'Driver', 'Pool', 'Age:date'],
    row: ({ name }, { spec = {}, metadata }, nowMs) => [
      name,
      spec.nodeName ?? '',
      spec.driver ?? '',
      spec.pool?.name ?? '',
      since(metadata.creationTimestamp, nowMs),
    ],
  },
};
