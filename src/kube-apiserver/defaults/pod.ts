/** Defaults of pods and of pod templates. Source: pkg/apis/core/v1/defaults.go. */
import type { KubeObject } from '../object.ts';
import { under, underZero } from './under.ts';

type Fields = Readonly<Record<string, unknown>>;

export function defaultPod(pod: KubeObject): KubeObject {
  const spec: Fields = { enableServiceLinks: true, ...(pod['spec'] as Fields | undefined) };
  // Templates have neither: what a pod is given here must not show up in the objects that make pods.
  const change = (container: Fields) => withHostPorts(withRequests(container), spec['hostNetwork'] === true);
  return {
    ...pod,
    spec: defaultPodSpec({ ...spec, ...mapped(spec, 'containers', change), ...mapped(spec, 'initContainers', change) }),
  };
}

export function defaultTemplate(template: unknown): Fields {
  const fields = (template ?? {}) as Fields;
  return {
    ...fields,
    metadata: { ...(fields['metadata'] as Fields | undefined) },
    spec: defaultPodSpec((fields['spec'] ?? {}) as Fields),
  };
}

function defaultPodSpec(spec: Fields): Fields {
  const filled = under(
    // Zero seconds of grace are not the same as nothing.
    { terminationGracePeriodSeconds: 30, securityContext: {} },
    underZero({ restartPolicy: 'Always', dnsPolicy: 'ClusterFirst', schedulerName: 'default-scheduler' }, spec),
  ) as Fields;
  const serviceAccountName = filled['serviceAccountName'] || filled['serviceAccount'];
  return {
    ...filled,
    // The old name of the field mirrors the new one.
    ...(serviceAccountName !== undefined && { serviceAccountName, serviceAccount: serviceAccountName }),
    ...mapped(filled, 'containers', defaultContainer),
    ...mapped(filled, 'initContainers', defaultContainer),
    ...mapped(filled, 'ephemeralContainers', defaultContainer),
    ...mapped(filled, 'volumes', defaultVolume),
  };
}

/** The list under `key` with each element changed; nothing where there is no list. */
function mapped(fields: Fields, key: string, change: (item: Fields) => Fields): Fields {
  const list = fields[key];
  return Array.isArray(list) ? { [key]: list.map((item) => change(item as Fields)) } : {};
}

function defaultContainer(container: Fields): Fields {
  const filled = underZero(
    {
      resources: {},
      terminationMessagePath: '/dev/termination-log',
      terminationMessagePolicy: 'File',
      imagePullPolicy: pullPolicyOf(container['image']),
    },
    container,
  ) as Fields;
  const probes: Record<string, unknown> = {};
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe'])
    if (filled[name] !== undefined) probes[name] = defaultProbe(filled[name] as Fields);
  const lifecycle = filled['lifecycle'] as Fields | undefined;
  return {
    ...filled,
    ...probes,
    ...mapped(filled, 'ports', (port) => underZero({ protocol: 'TCP' }, port)),
    ...mapped(filled, 'env', defaultEnv),
    ...(lifecycle && {
      lifecycle: Object.fromEntries(
        Object.entries(lifecycle).map(([hook, handler]) =>
          typeof handler === 'object' ? [hook, defaultHandler(handler as Fields)] : [hook, handler],
        ),
      ),
    }),
  };
}

function defaultEnv(variable: Fields): Fields {
  const from = variable['valueFrom'] as Fields | undefined;
  const field = from?.['fieldRef'] as Fields | undefined;
  if (field === undefined) return variable;
  return { ...variable, valueFrom: { ...from, fieldRef: underZero({ apiVersion: 'v1' }, field) } };
}

function defaultProbe(probe: Fields): Fields {
  return defaultHandler(
    underZero({ timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 }, probe) as Fields,
  );
}

function defaultHandler(handler: Fields): Fields {
  const http = handler['httpGet'] as Fields | undefined;
  const grpc = handler['grpc'] as Fields | undefined;
  return {
    ...handler,
    ...(http && { httpGet: underZero({ path: '/', scheme: 'HTTP' }, http) }),
    ...(grpc && { grpc: under({ service: '' }, grpc) }),
  };
}

/** A moving tag is pulled every time. */
function pullPolicyOf(image: unknown): string {
  if (typeof image !== 'string' || image.includes('@')) return 'IfNotPresent';
  const name = image.slice(image.lastIndexOf('/') + 1);
  const colon = name.indexOf(':');
  return colon === -1 || name.slice(colon + 1) === 'latest' ? 'Always' : 'IfNotPresent';
}

const volumeDefaults: Readonly<Record<string, Fields>> = {
  secret: { defaultMode: 420 },
  configMap: { defaultMode: 420 },
  downwardAPI: { defaultMode: 420 },
  projected: { defaultMode: 420 },
  hostPath: { type: '' },
  emptyDir: {},
  iscsi: { iscsiInterface: 'default' },
  rbd: { pool: 'rbd', user: 'admin', keyring: '/etc/ceph/keyring' },
};

const sources = new Set(['name']);

export function defaultVolume(volume: Fields): Fields {
  const filled: Record<string, unknown> = { ...volume };
  // A volume without a source is an empty directory.
  if (!Object.keys(volume).some((key) => !sources.has(key))) filled['emptyDir'] = {};
  for (const [source, defaults] of Object.entries(volumeDefaults))
    if (filled[source] !== undefined) filled[source] = under(defaults, filled[source]);
  const image = filled['image'] as Fields | undefined;
  if (image !== undefined) filled['image'] = underZero({ pullPolicy: pullPolicyOf(image['reference']) }, image);
  for (const name of ['downwardAPI', 'projected']) {
    const source = filled[name] as Fields | undefined;
    if (source !== undefined) filled[name] = defaultSources(source);
  }
  return filled;
}

function defaultSources(source: Fields): Fields {
  const items = (item: Fields): Fields => {
    const field = item['fieldRef'] as Fields | undefined;
    return field ? { ...item, fieldRef: underZero({ apiVersion: 'v1' }, field) } : item;
  };
  return {
    ...source,
    ...mapped(source, 'items', items),
    ...mapped(source, 'sources', (projection) => {
      const token = projection['serviceAccountToken'] as Fields | undefined;
      const downward = projection['downwardAPI'] as Fields | undefined;
      return {
        ...projection,
        ...(token && { serviceAccountToken: under({ expirationSeconds: 3600 }, token) }),
        ...(downward && { downwardAPI: { ...downward, ...mapped(downward, 'items', items) } }),
      };
    }),
  };
}

/** Limits stand for requests that are not given. */
function withRequests(container: Fields): Fields {
  const resources = (container['resources'] ?? {}) as Fields;
  const limits = resources['limits'] as Fields | undefined;
  if (limits === undefined) return container;
  return { ...container, resources: { ...resources, requests: under(limits, resources['requests']) } };
}

/** In the node's network a port of the container is one of the node. */
function withHostPorts(container: Fields, hostNetwork: boolean): Fields {
  if (!hostNetwork) return container;
  return {
    ...container,
    ...mapped(container, 'ports', (port) => underZero({ hostPort: port['containerPort'] }, port)),
  };
}
