/**
 * The object that a request carries is the one that its path names: whatever verb it comes by, it is put in the path's namespace, or refused.
 * Source: EnsureObjectNamespaceMatchesRequestNamespace and checkName of k8s.io/apiserver.
 */
import { badRequestError } from '#kube-machinery/status.ts';
import type { KubeObject } from '../object.ts';
import type { RestScope } from './scope.ts';

type Place = Pick<RestScope, 'info' | 'served'>;

/** The object in the namespace of the path; what stands in no namespace loses the one it was given. @throws StatusError BadRequest */
export function inNamespace<O extends Pick<KubeObject, 'metadata'>>({ info, served }: Place, object: O): O {
  const { namespace: given, ...metadata } = object.metadata;
  // The path of a namespace itself goes through its own name, and it stands in none.
  const namespace = served.resource.namespaced ? info.namespace : '';
  if (given && namespace !== '' && given !== namespace)
    throw badRequestError('the namespace of the provided object does not match the namespace sent on the request');
  return { ...object, metadata: { ...metadata, ...(namespace !== '' && { namespace }) } };
}

/** The same for a path that names the object, too. @throws StatusError BadRequest */
export function asAddressed<O extends Pick<KubeObject, 'metadata'>>(place: Place, object: O): O {
  const placed = inNamespace(place, object);
  const { name } = placed.metadata;
  const wanted = place.info.name;
  if (!name)
    throw badRequestError(`the name of the object (${wanted} based on URL) was undeterminable: name must be provided`);
  if (name !== wanted)
    throw badRequestError(`the name of the object (${name}) does not match the name on the URL (${wanted})`);
  return placed;
}
