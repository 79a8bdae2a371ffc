/** Every pod has a service account, and its token where it may be read. Source: plugin ServiceAccount. */
import { badRequestError, forbiddenError } from '#kube-machinery/status.ts';
import { below, type Prng } from '#std/prng.ts';
import type { AdmissionPlugin } from '../admission.ts';
import type { KubeObject } from '../object.ts';
import type { ObjectReader } from '../reader.ts';
import { type Fields, isPodCreate, specOf } from './pods.ts';

const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const mirrorAnnotation = 'kubernetes.io/config.mirror';
const tokenSeconds = 3607;
const accounts = { group: '', resource: 'serviceaccounts' };
const nameAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

export function serviceAccount(reader: ObjectReader, prng: Prng): AdmissionPlugin {
  return {
    name: 'ServiceAccount',
    handles: isPodCreate,
    async mutate(request) {
      const pod = request.object!;
      const spec = specOf(request);
      if (pod.metadata.annotations?.[mirrorAnnotation] !== undefined) {
        if (spec['serviceAccountName']) throw badRequestError('a mirror pod may not reference service accounts');
        return pod;
      }
      const name = (spec['serviceAccountName'] as string | undefined) || 'default';
      const account =
        reader.get(accounts, request.namespace, name) ?? (await reader.getLatest(accounts, request.namespace, name));
      if (account === undefined)
        throw forbiddenError(
          { group: '', resource: 'pods' },
          request.name,
          `error looking up service account ${request.namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`,
        );
      const named: Fields = { ...spec, serviceAccountName: name, serviceAccount: name };
      const automount = spec['automountServiceAccountToken'] ?? account['automountServiceAccountToken'] ?? true;
      const withToken = automount === true ? withTokenVolume(named, prng) : named;
      const secrets = account['imagePullSecrets'] as readonly unknown[] | undefined;
      const pull = (spec['imagePullSecrets'] as readonly unknown[] | undefined) ?? [];
      return {
        ...pod,
        spec: {
          ...withToken,
          ...(pull.length === 0 && secrets !== undefined && secrets.length > 0 && { imagePullSecrets: secrets }),
        },
      } as KubeObject;
    },
  };
}

/** Mounts a token into the containers that have nothing of their own at its path. */
function withTokenVolume(spec: Fields, prng: Prng): Fields {
  const volumes = (spec['volumes'] ?? []) as readonly Fields[];
  const existing = volumes.find((volume) => String(volume['name']).startsWith('kube-api-access-'));
  const name = existing === undefined ? `kube-api-access-${suffix(prng)}` : String(existing['name']);
  let mounted = false as boolean;
  const withMounts = (list: unknown): unknown =>
    Array.isArray(list)
      ? list.map((container: Fields): Fields => {
          const mounts = (container['volumeMounts'] ?? []) as readonly Fields[];
          if (mounts.some((mount) => mount['mountPath'] === mountPath)) return container;
          mounted = true;
          return { ...container, volumeMounts: [...mounts, { name, readOnly: true, mountPath }] };
        })
      : list;
  const containers = withMounts(spec['containers']);
  const initContainers = withMounts(spec['initContainers']);
  return {
    ...spec,
    containers,
    ...(Array.isArray(initContainers) ? { initContainers } : {}),
    ...(mounted && existing === undefined && { volumes: [...volumes, tokenVolume(name)] }),
  };
}

function suffix(prng: Prng): string {
  let text = '';
  for (let i = 0; i < 5; i++) text += nameAlphabet[below(prng, nameAlphabet.length)];
  return text;
}

function tokenVolume(name: string): Fields {
  return {
    name,
    projected: {
      defaultMode: 420,
      sources: [
        { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
    },
  };
}
