/** Defaults of networking, access, storage, scheduling and admission kinds. Source: the defaults.go of each group. */
import type { KubeObject } from '../object.ts';
import { under } from './under.ts';

type Fields = Readonly<Record<string, unknown>>;
const rbac = 'rbac.authorization.k8s.io';

export function defaultPolicyKinds(object: KubeObject): KubeObject {
  const spec = (object['spec'] ?? {}) as Fields;
  switch (object.kind) {
    case 'RoleBinding':
    case 'ClusterRoleBinding': {
      const subjects = object['subjects'];
      return {
        ...object,
        roleRef: under({ apiGroup: rbac }, object['roleRef']),
        ...(Array.isArray(subjects) && { subjects: subjects.map(defaultSubject) }),
      };
    }
    case 'EndpointSlice': {
      const ports = object['ports'];
      if (!Array.isArray(ports)) return object;
      return { ...object, ports: ports.map((port: Fields) => under({ name: '', protocol: 'TCP' }, port)) };
    }
    case 'NetworkPolicy':
      return { ...object, spec: defaultNetworkPolicy(spec) };
    case 'IngressClass': {
      const parameters = spec['parameters'];
      return parameters
        ? { ...object, spec: { ...spec, parameters: under({ scope: 'Cluster' }, parameters) } }
        : object;
    }
    case 'PriorityClass':
      return { ...object, preemptionPolicy: object['preemptionPolicy'] ?? 'PreemptLowerPriority' };
    case 'StorageClass':
      return {
        ...object,
        reclaimPolicy: object['reclaimPolicy'] ?? 'Delete',
        volumeBindingMode: object['volumeBindingMode'] ?? 'Immediate',
      };
    case 'CSIDriver':
      return {
        ...object,
        spec: under(
          {
            attachRequired: true,
            podInfoOnMount: false,
            storageCapacity: false,
            fsGroupPolicy: 'ReadWriteOnceWithFSType',
            volumeLifecycleModes: ['Persistent'],
            requiresRepublish: false,
            seLinuxMount: false,
          },
          spec,
        ),
      };
    case 'HorizontalPodAutoscaler':
      return { ...object, spec: under({ minReplicas: 1 }, spec) };
    case 'FlowSchema':
      return { ...object, spec: under({ matchingPrecedence: 1000 }, spec) };
    case 'PriorityLevelConfiguration':
      return { ...object, spec: defaultPriorityLevel(spec) };
    case 'ValidatingWebhookConfiguration':
    case 'MutatingWebhookConfiguration': {
      const webhooks = object['webhooks'];
      if (!Array.isArray(webhooks)) return object;
      const own = object.kind === 'MutatingWebhookConfiguration' ? { reinvocationPolicy: 'Never' } : {};
      return {
        ...object,
        webhooks: webhooks.map((webhook: Fields) => defaultWebhook({ ...own, ...webhook })),
      };
    }
    case 'ValidatingAdmissionPolicy':
    case 'MutatingAdmissionPolicy':
      return { ...object, spec: defaultMatch(under({ failurePolicy: 'Fail' }, spec), 'matchConstraints') };
    case 'ValidatingAdmissionPolicyBinding':
    case 'MutatingAdmissionPolicyBinding':
      return { ...object, spec: defaultMatch(spec, 'matchResources') };
    default:
      return object;
  }
}

function defaultSubject(subject: Fields): Fields {
  const needsGroup = subject['kind'] === 'User' || subject['kind'] === 'Group';
  return needsGroup ? under({ apiGroup: rbac }, subject) : subject;
}

/** @param field where a policy or its binding says what it matches */
function defaultMatch(spec: Fields, field: string): Fields {
  const match = spec[field] as Fields | undefined;
  if (match === undefined) return spec;
  const rules = (key: string) => {
    const list = match[key];
    return Array.isArray(list) ? { [key]: list.map((rule: Fields) => under({ scope: '*' }, rule)) } : {};
  };
  return {
    ...spec,
    [field]: {
      ...under({ matchPolicy: 'Equivalent', namespaceSelector: {}, objectSelector: {} }, match),
      ...rules('resourceRules'),
      ...rules('excludeResourceRules'),
    },
  };
}

function defaultPriorityLevel(spec: Fields): Fields {
  const exempt = spec['type'] === 'Exempt' ? { exempt: spec['exempt'] ?? {} } : {};
  const given = { ...spec, ...exempt } as Readonly<Record<string, Fields | undefined>>;
  const limited = given['limited'];
  const response = limited?.['limitResponse'] as Fields | undefined;
  return {
    ...given,
    ...(given['exempt'] && {
      exempt: under({ nominalConcurrencyShares: 0, lendablePercent: 0 }, given['exempt']),
    }),
    ...(limited && {
      limited: {
        ...under({ nominalConcurrencyShares: 30, lendablePercent: 0 }, limited),
        ...(response?.['queuing'] !== undefined && {
          limitResponse: {
            ...response,
            queuing: under({ queues: 64, handSize: 8, queueLengthLimit: 50 }, response['queuing']),
          },
        }),
      },
    }),
  };
}

function defaultWebhook(webhook: Fields): Fields {
  const rules = webhook['rules'];
  const client = webhook['clientConfig'] as Fields | undefined;
  return {
    ...under(
      {
        failurePolicy: 'Fail',
        matchPolicy: 'Equivalent',
        namespaceSelector: {},
        objectSelector: {},
        timeoutSeconds: 10,
      },
      webhook,
    ),
    ...(Array.isArray(rules) && { rules: rules.map((rule: Fields) => under({ scope: '*' }, rule)) }),
    ...(client?.['service'] !== undefined && {
      clientConfig: { ...client, service: under({ port: 443 }, client['service']) },
    }),
  };
}

/** Egress is restricted only where rules say so. */
function defaultNetworkPolicy(spec: Fields): Fields {
  const egress = spec['egress'];
  const restricts = Array.isArray(egress) && egress.length > 0;
  const rules = (key: string) => {
    const list = spec[key];
    if (!Array.isArray(list)) return {};
    return {
      [key]: list.map((rule: Fields) => ({
        ...rule,
        ...(Array.isArray(rule['ports']) && {
          ports: rule['ports'].map((port: Fields) => under({ protocol: 'TCP' }, port)),
        }),
      })),
    };
  };
  return {
    ...under({ policyTypes: restricts ? ['Ingress', 'Egress'] : ['Ingress'] }, spec),
    ...rules('ingress'),
    ...rules('egress'),
  };
}
