/** The least that each stored resource of the Kubernetes API takes, by `resource.group/version`: without kind, apiVersion and metadata. */

const podTemplate = { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'c', image: 'web:1' }] } };
const selector = { matchLabels: { app: 'a' } };
const webhook = {
  name: 'hook.example.com',
  clientConfig: { url: 'https://hook.example.com/' },
  admissionReviewVersions: ['v1'],
  sideEffects: 'None',
};
const scaleTarget = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' };
const roleRef = (kind: string) => ({ roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: 'r' } });
const claimSpec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
const deviceRequest = { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpu.example.com' } }] } };

/** PEM in base64, of CN=a with an Ed25519 key that is nowhere any more. */
const signingRequest =
  'LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlHTE1EOENBUUF3RERFS01BZ0dBMVVFQXd3QllUQXFNQVVHQXl0bGNBTWhBRS9KMFRONWs4RG5QL00rbHI3dAplZzlvL2x3YWFXeUgzSE41cjVHQnBGbkVvQUF3QlFZREsyVndBMEVBNVFQck1Ec0QwRHBZVERhSUV0c1ZyZE5RCmliK2huc0Z6RXFKQUFldFhPWUQybkRzMno0bTBNbktQQ3BFczZwVzdsSzJNS293K05tNVIzWHg3U2xqT0FnPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==';

export interface MinimalObject {
  /** `n` tells one object from another. */
  readonly body?: object | ((n: string) => object);
  /** Where names are more than DNS labels. */
  readonly name?: (n: string) => string;
}

export const minimalObjects: Readonly<Record<string, MinimalObject>> = {
  'configmaps/v1': {},
  'endpoints/v1': {},
  'events/v1': { body: { involvedObject: { kind: 'Pod', name: 'p', namespace: 'suite' } } },
  'limitranges/v1': { body: { spec: { limits: [{ type: 'Container', max: { cpu: '1' } }] } } },
  'namespaces/v1': {},
  'persistentvolumeclaims/v1': { body: { spec: claimSpec } },
  'pods/v1': { body: { spec: podTemplate.spec } },
  'podtemplates/v1': { body: { template: podTemplate } },
  'replicationcontrollers/v1': { body: { spec: { selector: { app: 'a' }, template: podTemplate } } },
  'resourcequotas/v1': { body: { spec: { hard: { pods: '4' } } } },
  'secrets/v1': {},
  'serviceaccounts/v1': {},
  'services/v1': { body: { spec: { ports: [{ port: 80 }] } } },
  'nodes/v1': {},
  'persistentvolumes/v1': {
    body: { spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/data' } } },
  },
  'mutatingadmissionpolicies.admissionregistration.k8s.io/v1': {
    body: {
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
        },
        mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression: '[]' } }],
        reinvocationPolicy: 'Never',
      },
    },
  },
  'mutatingadmissionpolicybindings.admissionregistration.k8s.io/v1': { body: { spec: { policyName: 'p' } } },
  'mutatingwebhookconfigurations.admissionregistration.k8s.io/v1': { body: { webhooks: [webhook] } },
  'validatingadmissionpolicies.admissionregistration.k8s.io/v1': {
    body: {
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
        },
        validations: [{ expression: 'true' }],
      },
    },
  },
  'validatingadmissionpolicybindings.admissionregistration.k8s.io/v1': {
    body: { spec: { policyName: 'p', validationActions: ['Deny'] } },
  },
  'validatingwebhookconfigurations.admissionregistration.k8s.io/v1': { body: { webhooks: [webhook] } },
  'customresourcedefinitions.apiextensions.k8s.io/v1': {
    name: (n) => `${n}s.example.com`,
    body: (n) => ({
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { plural: `${n}s`, singular: n, kind: n.toUpperCase(), listKind: `${n.toUpperCase()}List` },
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
      },
    }),
  },
  'apiservices.apiregistration.k8s.io/v1': {
    name: (n) => `v1.${n}.example.com`,
    body: (n) => ({
      spec: {
        group: `${n}.example.com`,
        version: 'v1',
        groupPriorityMinimum: 100,
        versionPriority: 10,
        insecureSkipTLSVerify: true,
        service: { namespace: 'suite', name: 's' },
      },
    }),
  },
  'controllerrevisions.apps/v1': { body: { revision: 1, data: { a: 1 } } },
  'daemonsets.apps/v1': { body: { spec: { selector, template: podTemplate } } },
  'deployments.apps/v1': { body: { spec: { selector, template: podTemplate } } },
  'replicasets.apps/v1': { body: { spec: { selector, template: podTemplate } } },
  'statefulsets.apps/v1': { body: { spec: { selector, template: podTemplate, serviceName: 's' } } },
  'horizontalpodautoscalers.autoscaling/v1': { body: { spec: { scaleTargetRef: scaleTarget, maxReplicas: 3 } } },
  'horizontalpodautoscalers.autoscaling/v2': { body: { spec: { scaleTargetRef: scaleTarget, maxReplicas: 3 } } },
  'cronjobs.batch/v1': {
    body: {
      spec: {
        schedule: '* * * * *',
        jobTemplate: { spec: { template: { spec: { ...podTemplate.spec, restartPolicy: 'Never' } } } },
      },
    },
  },
  'jobs.batch/v1': { body: { spec: { template: { spec: { ...podTemplate.spec, restartPolicy: 'Never' } } } } },
  'certificatesigningrequests.certificates.k8s.io/v1': {
    body: {
      spec: { request: signingRequest, signerName: 'example.com/signer', usages: ['client auth'] },
    },
  },
  'leases.coordination.k8s.io/v1': {},
  'endpointslices.discovery.k8s.io/v1': { body: { addressType: 'IPv4', endpoints: [] } },
  'events.events.k8s.io/v1': {
    body: {
      eventTime: '2026-01-01T00:00:00.000000Z',
      reportingController: 'example.com/controller',
      reportingInstance: 'i',
      action: 'Act',
      reason: 'Because',
      type: 'Normal',
      regarding: { kind: 'Pod', name: 'p', namespace: 'suite' },
    },
  },
  'flowschemas.flowcontrol.apiserver.k8s.io/v1': {
    body: { spec: { priorityLevelConfiguration: { name: 'p' }, matchingPrecedence: 1000 } },
  },
  'prioritylevelconfigurations.flowcontrol.apiserver.k8s.io/v1': {
    body: { spec: { type: 'Limited', limited: { nominalConcurrencyShares: 1, limitResponse: { type: 'Reject' } } } },
  },
  'ingressclasses.networking.k8s.io/v1': { body: { spec: { controller: 'example.com/ingress' } } },
  'ingresses.networking.k8s.io/v1': {
    body: { spec: { defaultBackend: { service: { name: 's', port: { number: 80 } } } } },
  },
  'ipaddresses.networking.k8s.io/v1': {
    name: (n) => `10.200.0.${n.length}`,
    body: { spec: { parentRef: { resource: 'services', namespace: 'suite', name: 's' } } },
  },
  'networkpolicies.networking.k8s.io/v1': { body: { spec: { podSelector: {} } } },
  'servicecidrs.networking.k8s.io/v1': { body: { spec: { cidrs: ['10.201.0.0/24'] } } },
  'runtimeclasses.node.k8s.io/v1': { body: { handler: 'runc' } },
  'poddisruptionbudgets.policy/v1': { body: { spec: { minAvailable: 1, selector } } },
  'clusterrolebindings.rbac.authorization.k8s.io/v1': { body: roleRef('ClusterRole') },
  'clusterroles.rbac.authorization.k8s.io/v1': { body: { rules: [] } },
  'rolebindings.rbac.authorization.k8s.io/v1': { body: roleRef('Role') },
  'roles.rbac.authorization.k8s.io/v1': { body: { rules: [] } },
  'deviceclasses.resource.k8s.io/v1': { body: { spec: {} } },
  'resourceclaims.resource.k8s.io/v1': { body: { spec: deviceRequest } },
  'resourceclaimtemplates.resource.k8s.io/v1': { body: { spec: { spec: deviceRequest } } },
  'resourceslices.resource.k8s.io/v1': {
    body: {
      spec: {
        driver: 'gpu.example.com',
        nodeName: 'n',
        pool: { name: 'p', generation: 1, resourceSliceCount: 1 },
        devices: [],
      },
    },
  },
  'priorityclasses.scheduling.k8s.io/v1': { body: { value: 10 } },
  'csidrivers.storage.k8s.io/v1': { body: { spec: {} } },
  'csinodes.storage.k8s.io/v1': { body: { spec: { drivers: [] } } },
  'csistoragecapacities.storage.k8s.io/v1': { body: { storageClassName: 's' } },
  'storageclasses.storage.k8s.io/v1': { body: { provisioner: 'example.com/disks' } },
  'volumeattachments.storage.k8s.io/v1': {
    body: { spec: { attacher: 'disks.example.com', nodeName: 'n', source: { persistentVolumeName: 'v' } } },
  },
  'volumeattributesclasses.storage.k8s.io/v1': { body: { driverName: 'example.com/disks', parameters: { a: 'b' } } },
};
