/** Runs the admission plugins over one write: all that change the object, then all that may only refuse it. */
import type { AdmissionRequest } from '../admission.ts';
import type { KubeObject } from '../object.ts';
import type { RestScope } from './scope.ts';

export type AdmissionInput = Pick<AdmissionRequest, 'operation' | 'object' | 'oldObject' | 'dryRun'> & {
  /** Where it is not the one in the path. */
  readonly name?: string;
};

/** The object as the mutating plugins leave it. @throws StatusError */
export async function mutate(scope: RestScope, input: AdmissionInput): Promise<KubeObject | undefined> {
  let request = requestOf(scope, input);
  for (const plugin of scope.deps.admission) {
    if (plugin.mutate === undefined || !plugin.handles(request)) continue;
    const object = await plugin.mutate(request);
    if (object !== request.object) request = { ...request, object };
  }
  return request.object;
}

/** @throws StatusError */
export async function validate(scope: RestScope, input: AdmissionInput): Promise<void> {
  const request = requestOf(scope, input);
  for (const plugin of scope.deps.admission)
    if (plugin.validate !== undefined && plugin.handles(request)) await plugin.validate(request);
}

function requestOf({ info, served, user, request }: RestScope, input: AdmissionInput): AdmissionRequest {
  return {
    resource: served.resource,
    subresource: info.subresource,
    namespace: info.namespace,
    name: info.name,
    user,
    signal: request.signal,
    ...input,
  };
}
