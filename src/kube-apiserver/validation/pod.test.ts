/** Pods that are refused, and what is said of them: upstream's paths and texts to the letter. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { resources } from '#api-kube/resources.ts';
import { formatFieldError } from '#kube-machinery/field-error.ts';
import { defaultObject } from '../defaults/default-object.ts';
import type { KubeObject } from '../object.ts';
import { validateCreate } from './validate.ts';

const podResource = resources.find(({ group, resource }) => group === '' && resource === 'pods')!;

/** Errors of a pod with this spec beside one good container, defaults filled in. */
function errorsOf(spec: object): string[] {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default' },
    spec: { containers: [{ name: 'c', image: 'x' }], ...spec },
  };
  const gvk = { group: '', version: 'v1', kind: 'Pod' };
  return validateCreate(podResource, defaultObject(gvk, pod) as KubeObject).map(formatFieldError);
}

/** Errors of a pod whose container has these fields, without the path of the container. */
function containerErrors(container: object, spec: object = {}): string[] {
  const prefix = 'spec.containers[0].';
  return errorsOf({ containers: [{ name: 'c', image: 'x', ...container }], ...spec }).map((error) =>
    error.startsWith(prefix) ? error.slice(prefix.length) : error,
  );
}

test('a plain pod is right', () => {
  assert.deepEqual(errorsOf({}), []);
});

test('containers: names, images, policies', () => {
  const label =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
  assert.deepEqual(errorsOf({ containers: [] }), ['spec.containers: Required value']);
  assert.deepEqual(containerErrors({ name: 'C' }), [`name: Invalid value: "C": ${label}`]);
  assert.deepEqual(containerErrors({ name: '', image: '' }), ['name: Required value', 'image: Required value']);
  assert.deepEqual(containerErrors({ image: ' x' }), [
    'image: Invalid value: " x": must not have leading or trailing whitespace',
  ]);
  assert.deepEqual(containerErrors({ imagePullPolicy: 'Sometimes' }), [
    'imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
  ]);
  assert.deepEqual(containerErrors({ terminationMessagePolicy: 'Log' }), [
    'terminationMessagePolicy: Unsupported value: "Log": supported values: "File", "FallbackToLogsOnError"',
  ]);
  assert.deepEqual(errorsOf({ containers: [1, 2].map(() => ({ name: 'c', image: 'x' })) }), [
    'spec.containers[1].name: Duplicate value: "c"',
  ]);
});

test('ports: numbers, names, and one host port for all', () => {
  assert.deepEqual(
    containerErrors({
      ports: [
        { containerPort: 0 },
        { containerPort: 70000, name: 'a--b' },
        { containerPort: 80, hostPort: 80, protocol: 'ICMP' },
      ],
    }),
    [
      'ports[0].containerPort: Required value',
      'ports[1].name: Invalid value: "a--b": must not contain consecutive hyphens',
      'ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
      'ports[2].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
    ],
  );
  const twice = [
    { containerPort: 80, hostPort: 8080 },
    { containerPort: 81, hostPort: 8080 },
  ];
  assert.deepEqual(containerErrors({ ports: twice }), ['ports[1].hostPort: Duplicate value: "TCP//8080"']);
  assert.deepEqual(containerErrors({ ports: [{ containerPort: 80, hostPort: 81 }] }, { hostNetwork: true }), [
    'ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true',
  ]);
});

test('environment: names and sources', () => {
  assert.deepEqual(
    containerErrors({
      env: [
        { name: 'a=b' },
        { name: 'A', valueFrom: {} },
        { name: 'B', value: 'b', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'C', valueFrom: { fieldRef: { fieldPath: 'spec.color' } } },
        { name: 'D', valueFrom: { fieldRef: { fieldPath: 'metadata.annotations' } } },
        { name: 'E', valueFrom: { secretKeyRef: { name: 's', key: 'a/b' } } },
        { name: 'F', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '2' } } },
      ],
      envFrom: [{ prefix: 'a' }],
    }),
    [
      'env[0].name: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than \'=\'',
      'env[1].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
      'env[2].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
      'env[3].valueFrom.fieldRef.fieldPath: Invalid value: "spec.color": error converting fieldPath: field label not supported: spec.color',
      'env[4].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.annotations": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
      "env[5].valueFrom.secretKeyRef.key: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      'env[6].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor\'s values 1m and 1 are supported with the cpu resource',
      'envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
    ],
  );
});

test('volumes and their mounts', () => {
  assert.deepEqual(
    containerErrors(
      {
        volumeMounts: [
          { name: 'none', mountPath: '/a' },
          { name: 'v', mountPath: '/b', subPath: '../x' },
          { name: 'v', mountPath: '/b', mountPropagation: 'Bidirectional' },
        ],
      },
      {
        volumes: [
          { name: 'v', emptyDir: {} },
          { name: 'v', emptyDir: {} },
          { name: 'two', emptyDir: {}, hostPath: { path: '/x' } },
          { name: 'h', hostPath: { path: '/a/../b', type: 'Door' } },
          { name: 's', secret: { secretName: 's', defaultMode: 0o1000, items: [{ key: '', path: '..x' }] } },
          { name: 'd', downwardAPI: { items: [{ path: 'p' }] } },
        ],
      },
    ),
    [
      'spec.volumes[1].name: Duplicate value: "v"',
      'spec.volumes[2].hostPath: Forbidden: may not specify more than 1 volume type',
      'spec.volumes[3].hostPath.path: Invalid value: "/a/../b": must not contain \'..\'',
      'spec.volumes[3].hostPath.type: Unsupported value: "Door": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
      'spec.volumes[4].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive',
      'spec.volumes[4].secret.items[0].key: Required value',
      'spec.volumes[4].secret.items[0].path: Invalid value: "..x": must not start with \'..\'',
      'spec.volumes[5].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required',
      'volumeMounts[0].name: Not found: "none"',
      'volumeMounts.subPath: Invalid value: "../x": must not contain \'..\'',
      'volumeMounts[2].mountPath: Invalid value: "/b": must be unique',
      'volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers',
    ],
  );
});

test('resources', () => {
  assert.deepEqual(
    containerErrors({
      resources: {
        limits: { cpu: '1', 'example.com/gpu': '500m', color: '1' },
        requests: { cpu: '2', memory: '-1', 'example.com/disk': '1' },
      },
    }),
    [
      'resources.limits[example.com/gpu]: Invalid value: "500m": must be an integer',
      'resources.limits[color]: Invalid value: "color": must be a standard resource type or fully qualified',
      'resources.limits[color]: Invalid value: "color": must be a standard resource for containers',
      'resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
      // What is limited and not asked for is asked for as well: a default.
      'resources.requests[example.com/gpu]: Invalid value: "500m": must be an integer',
      'resources.requests[color]: Invalid value: "color": must be a standard resource type or fully qualified',
      'resources.requests[color]: Invalid value: "color": must be a standard resource for containers',
      'resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0',
      'resources.limits: Required value: Limit must be set for non overcommitable resources',
    ],
  );
});

test('probes and hooks', () => {
  assert.deepEqual(
    containerErrors({
      livenessProbe: { httpGet: { port: 0, scheme: 'FTP', path: '/' }, successThreshold: 2 },
      readinessProbe: { exec: {}, tcpSocket: { port: 80 }, terminationGracePeriodSeconds: 5 },
      startupProbe: { periodSeconds: -1 },
      lifecycle: { preStop: { sleep: { seconds: 31 } } },
    }),
    [
      'lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)',
      'livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive',
      'livenessProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"',
      'livenessProbe.successThreshold: Invalid value: 2: must be 1',
      'readinessProbe.exec.command: Required value',
      'readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type',
      'readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes',
      'startupProbe: Required value: must specify a handler type',
      'startupProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0',
    ],
  );
});

test('init containers take probes only where they go on running', () => {
  const init = (more: object) => errorsOf({ initContainers: [{ name: 'i', image: 'x', ...more }] });
  const probe = { readinessProbe: { tcpSocket: { port: 80 } } };
  assert.deepEqual(init({ ...probe, restartPolicy: 'Always' }), []);
  assert.deepEqual(init(probe), [
    'spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always',
  ]);
  assert.deepEqual(init({ name: 'c' }), ['spec.initContainers[0].name: Duplicate value: "c"']);
});

test('placement: affinity, tolerations, spread', () => {
  const hard = 'requiredDuringSchedulingIgnoredDuringExecution';
  assert.deepEqual(
    errorsOf({
      affinity: {
        nodeAffinity: {
          [hard]: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: 'a', operator: 'In' }], matchFields: [{ key: 'x', operator: 'Gt' }] },
            ],
          },
        },
        podAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 0, podAffinityTerm: { topologyKey: 'a' } }],
        },
      },
      topologySpreadConstraints: [{ maxSkew: 0, topologyKey: 'zone', whenUnsatisfiable: 'Maybe' }],
      tolerations: [{ operator: 'Equal' }, { key: 'a', operator: 'Exists', value: 'b', effect: 'Never' }],
    }),
    [
      `spec.affinity.nodeAffinity.${hard}.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when \`operator\` is 'In' or 'NotIn'`,
      `spec.affinity.nodeAffinity.${hard}.nodeSelectorTerms[0].matchFields[0].operator: Invalid value: "Gt": not a valid selector operator`,
      `spec.affinity.nodeAffinity.${hard}.nodeSelectorTerms[0].matchFields[0].key: Invalid value: "x": not a valid field selector key`,
      'spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100',
      'spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero',
      'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "Maybe": supported values: "DoNotSchedule", "ScheduleAnyway"',
      'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"',
      'spec.tolerations[1].operator: Invalid value: "b": value must be empty when `operator` is \'Exists\'',
      'spec.tolerations[1].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ],
  );
});

test('security, names, DNS', () => {
  assert.deepEqual(
    errorsOf({
      restartPolicy: 'Never again',
      securityContext: { runAsUser: -1, seccompProfile: { type: 'Localhost' }, sysctls: [{ name: 'A' }] },
      hostPID: true,
      shareProcessNamespace: true,
      dnsPolicy: 'None',
      schedulingGates: [{ name: 'a' }, { name: 'a' }],
      hostAliases: [{ ip: 'x', hostnames: ['h'] }],
      activeDeadlineSeconds: 0,
      os: { name: 'beos' },
    }),
    [
      'spec.restartPolicy: Unsupported value: "Never again": supported values: "Always", "OnFailure", "Never"',
      'spec.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled',
      'spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive',
      'spec.securityContext.sysctls[0].name: Invalid value: "A": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$',
      'spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost',
      'spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None',
      'spec.schedulingGates[1]: Duplicate value: "a"',
      'spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive',
      'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      'spec.os.name: Unsupported value: "beos": supported values: "linux", "windows"',
    ],
  );
  assert.deepEqual(containerErrors({ securityContext: { privileged: true, allowPrivilegeEscalation: false } }), [
    'securityContext: Invalid value: {"privileged":true,"allowPrivilegeEscalation":false}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true',
  ]);
});
