/** `.../scale`: the replicas of a workload as autoscaling/v1 Scale, whatever kind it is. */

import { invalid } from '#kube-machinery/field-error.ts';
import { formatSelector, type LabelSelector, selectorOf, selectorOfMap } from '#kube-machinery/label-selector.ts';
import { badRequestError, invalidError } from '#kube-machinery/status.ts';
import type { HttpResponse } from '#transport/http.ts';
import { header } from '#transport/http.ts';
import type { KubeObject } from '../object.ts';
import { asAddressed } from '../rest/address.ts';
import { parseBody, readBody } from '../rest/body.ts';
import type { SubresourceVerbs } from '../rest/dispatch.ts';
import { readStored } from '../rest/get.ts';
import { writeOptionsOf } from '../rest/options.ts';
import { patchOf } from '../rest/patch.ts';
import { type RestScope, respondValue } from '../rest/scope.ts';
import { updateStored } from '../rest/update.ts';

interface Workload {
  readonly replicas?: number;
  readonly selector?: unknown;
}

export const scaleVerbs: SubresourceVerbs = {
  async get(scope) {
    return respondValue(scope, 200, scaleOf(await readStored(scope)));
  },
  async update(scope) {
    const body = await readBody(scope.request);
    const { value } = parseBody(body, header(scope.request.headers, 'content-type'), 'Scale');
    return write(scope, () => value);
  },
  async patch(scope) {
    return write(scope, (await patchOf(scope)).apply);
  },
};

function scaleOf(object: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const spec = (object['spec'] ?? {}) as Workload;
  const status = (object['status'] ?? {}) as Workload;
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      ...(name !== undefined && { name }),
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(creationTimestamp !== undefined && { creationTimestamp }),
    },
    spec: { ...(spec.replicas ? { replicas: spec.replicas } : {}) },
    status: { replicas: status.replicas ?? 0, selector: selectorText(spec.selector) },
  };
}

async function write(scope: RestScope, next: (scale: KubeObject) => unknown): Promise<HttpResponse> {
  const dryRun = writeOptionsOf(scope.info.query, scope.info.verb === 'patch' ? 'PatchOptions' : 'UpdateOptions');
  // The write is one of the workload's spec: its generation counts and its controller sees it.
  const whole = { ...scope, info: { ...scope.info, subresource: '' } };
  const { object } = await updateStored(
    whole,
    (current) => {
      const scale = next(scaleOf(current)) as KubeObject;
      if (scale === null || typeof scale !== 'object' || Array.isArray(scale))
        throw badRequestError('expected a Scale object');
      const { metadata: given } = asAddressed(scope, { metadata: scale.metadata ?? {} });
      const replicas = (scale['spec'] as Workload | undefined)?.replicas ?? 0;
      if (!Number.isSafeInteger(replicas) || replicas < 0)
        throw invalidError('autoscaling', 'Scale', scope.info.name, [
          invalid('spec.replicas', replicas, 'must be greater than or equal to 0'),
        ]);
      const { resourceVersion, uid } = given;
      const { resourceVersion: _, ...metadata } = current.metadata;
      return {
        ...current,
        metadata: { ...metadata, ...(resourceVersion && { resourceVersion }), ...(uid && { uid }) },
        spec: { ...(current['spec'] as object), replicas },
      };
    },
    dryRun,
    false,
  );
  return respondValue(scope, 200, scaleOf(object));
}

/** The query form that clients list the pods by. Replication controllers keep a plain map. */
function selectorText(selector: unknown): string {
  if (selector === undefined || selector === null) return '';
  const structured = 'matchLabels' in (selector as object) || 'matchExpressions' in (selector as object);
  const parsed = structured
    ? selectorOf(selector as LabelSelector)
    : selectorOfMap(selector as Readonly<Record<string, string>>);
  return parsed === undefined ? '' : formatSelector(parsed);
}
