/**
 * Which objects a pod names, and which secrets a volume does: what the node that runs the pod may read. Pure.
 * Source: pkg/api/pod and pkg/api/persistentvolume of kubernetes (the visitors of secret and config map names).
 */
import type { KubeObject } from '../object.ts';

export type ReferenceKind = 'secret' | 'configmap' | 'persistentvolumeclaim' | 'serviceaccount' | 'resourceclaim';

type Fields = Readonly<Record<string, unknown>>;

const list = (value: unknown): readonly Fields[] => (Array.isArray(value) ? (value as readonly Fields[]) : []);
const within = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>((at, key) => (at as Fields | undefined)?.[key], value);

/** A key of the index: `secret/default/db`. */
export function referenceKey(kind: ReferenceKind, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

const mirrorAnnotation = 'kubernetes.io/config.mirror';

/** Keys of everything the pod names. A mirror pod names nothing: nodes make those, and must not give themselves rights. */
export function referencesOf(pod: KubeObject): ReadonlySet<string> {
  const keys = new Set<string>();
  const { namespace = '', name: podName = '', annotations } = pod.metadata;
  if (annotations?.[mirrorAnnotation] !== undefined) return keys;
  const add = (kind: ReferenceKind, name: unknown) => {
    if (typeof name === 'string' && name !== '') keys.add(referenceKey(kind, namespace, name));
  };
  const spec = (pod['spec'] ?? {}) as Fields;
  add('serviceaccount', spec['serviceAccountName']);
  for (const secret of list(spec['imagePullSecrets'])) add('secret', secret['name']);
  for (const field of ['initContainers', 'containers', 'ephemeralContainers'])
    for (const container of list(spec[field])) {
      for (const source of list(container['envFrom'])) {
        add('secret', within(source, 'secretRef', 'name'));
        add('configmap', within(source, 'configMapRef', 'name'));
      }
      for (const variable of list(container['env'])) {
        add('secret', within(variable, 'valueFrom', 'secretKeyRef', 'name'));
        add('configmap', within(variable, 'valueFrom', 'configMapKeyRef', 'name'));
      }
    }
  for (const volume of list(spec['volumes'])) {
    for (const [type, ...path] of volumeSecrets) add('secret', within(volume, type!, ...path));
    add('configmap', within(volume, 'configMap', 'name'));
    for (const source of list(within(volume, 'projected', 'sources'))) {
      add('secret', within(source, 'secret', 'name'));
      add('configmap', within(source, 'configMap', 'name'));
    }
    add('persistentvolumeclaim', within(volume, 'persistentVolumeClaim', 'claimName'));
    if (volume['ephemeral'] !== undefined) add('persistentvolumeclaim', `${podName}-${String(volume['name'])}`);
  }
  for (const claim of list(spec['resourceClaims'])) add('resourceclaim', claim['resourceClaimName']);
  for (const claim of list(within(pod['status'], 'resourceClaimStatuses')))
    add('resourceclaim', claim['resourceClaimName']);
  add('resourceclaim', within(pod['status'], 'extendedResourceClaimStatus', 'resourceClaimName'));
  return keys;
}

/** Where a volume of a pod names a secret. */
const volumeSecrets: readonly (readonly string[])[] = [
  ['secret', 'secretName'],
  ['azureFile', 'secretName'],
  ['cephfs', 'secretRef', 'name'],
  ['cinder', 'secretRef', 'name'],
  ['flexVolume', 'secretRef', 'name'],
  ['rbd', 'secretRef', 'name'],
  ['scaleIO', 'secretRef', 'name'],
  ['iscsi', 'secretRef', 'name'],
  ['storageos', 'secretRef', 'name'],
  ['csi', 'nodePublishSecretRef', 'name'],
];

/** Keys of the secrets that a kubelet needs to mount the volume; without a claim there are none. */
export function volumeSecretsOf(volume: KubeObject): ReadonlySet<string> {
  const keys = new Set<string>();
  const spec = (volume['spec'] ?? {}) as Fields;
  const claimNamespace = within(spec, 'claimRef', 'namespace');
  if (typeof claimNamespace !== 'string') return keys;
  const add = (name: unknown, namespace: unknown) => {
    if (typeof name !== 'string' || name === '') return;
    keys.add(
      referenceKey('secret', typeof namespace === 'string' && namespace !== '' ? namespace : claimNamespace, name),
    );
  };
  const { azureFile } = spec as { readonly azureFile?: Fields };
  add(azureFile?.['secretName'], azureFile?.['secretNamespace']);
  for (const type of ['cephfs', 'cinder', 'flexVolume', 'rbd', 'scaleIO', 'iscsi', 'storageos'])
    add(within(spec, type, 'secretRef', 'name'), within(spec, type, 'secretRef', 'namespace'));
  for (const field of ['nodePublishSecretRef', 'nodeStageSecretRef', 'nodeExpandSecretRef'])
    add(within(spec, 'csi', field, 'name'), within(spec, 'csi', field, 'namespace'));
  return keys;
}

/** The key of the claim that a volume is bound to. */
export function claimOf(volume: KubeObject): string | undefined {
  const { namespace, name } = (within(volume['spec'], 'claimRef') ?? {}) as { namespace?: string; name?: string };
  return namespace && name ? referenceKey('persistentvolumeclaim', namespace, name) : undefined;
}
