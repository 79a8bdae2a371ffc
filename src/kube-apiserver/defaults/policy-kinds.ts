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
    case 'CertificateSigningRequest':
      return { ...object, spec: under({ usages: ['digital signature', 'key encipherment'] }, spec) };
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
      return { ...object, spec: under({ failurePolicy: 'Fail' }, spec) };
    default:
      return object;
  }
}

function defaultSubject(subject: Fields): Fields {
  const needsGroup = subject['kind'] === 'User' || subject['kind'] === 'Group';
  return needsGroup ? under({ apiGroup: rbac }, subject) : subject;
}

function defaultWebhook(webhook: Fields): Fields {
  const rules = webhook['rules'];
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
