/** What clients may leave out, filled in as upstream's SetDefaults functions do: one function per kind, dispatched by the stored kind. */
import type { GroupVersionKind } from '#api-kube/resource.ts';
import type { KubeObject } from '../object.ts';
import { defaultBatch } from './batch.ts';
import { defaultCore } from './core.ts';
import { defaultDeviceClaim } from './device-claims.ts';
import { defaultPod } from './pod.ts';
import { defaultPolicyKinds } from './policy-kinds.ts';
import { defaultService } from './service.ts';
import { defaultWorkload } from './workload.ts';

export function defaultObject({ group, kind }: GroupVersionKind, object: KubeObject): KubeObject {
  switch (`${group}/${kind}`) {
    case '/Pod':
      return defaultPod(object);
    case '/Service':
      return defaultService(object);
    case '/ReplicationController':
    case 'apps/Deployment':
    case 'apps/ReplicaSet':
    case 'apps/DaemonSet':
    case 'apps/StatefulSet':
      return defaultWorkload(object);
    case 'batch/Job':
    case 'batch/CronJob':
      return defaultBatch(object);
    case 'resource.k8s.io/ResourceClaim':
    case 'resource.k8s.io/ResourceClaimTemplate':
      return defaultDeviceClaim(object);
    default:
      return defaultPolicyKinds(defaultCore(object));
  }
}
