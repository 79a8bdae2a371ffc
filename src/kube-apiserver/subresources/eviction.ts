/** `POST .../pods/NAME/eviction`: a delete that asks the pod's disruption budgets first. Source: EvictionREST of pkg/registry/core/pod. */
import { type LabelSelector, matches, selectorOf } from '#kube-machinery/label-selector.ts';
import { badRequestError, failure } from '#kube-machinery/status.ts';
import { header } from '#transport/http.ts';
import type { KubeObject } from '../object.ts';
import { parseBody, readBody } from '../rest/body.ts';
import { timestamp } from '../rest/create.ts';
import { deleteStored } from '../rest/delete.ts';
import { checkedDeleteOptions, decodeDeleteOptions } from '../rest/delete-options.ts';
import type { SubresourceVerbs } from '../rest/dispatch.ts';
import { readStored } from '../rest/get.ts';
import { writeOptionsOf } from '../rest/options.ts';
import { type RestScope, respondValue } from '../rest/scope.ts';
import { keyOf } from '../storage/stored-object.ts';

interface Budget extends KubeObject {
  readonly spec?: { readonly selector?: LabelSelector };
  readonly status?: {
    readonly disruptionsAllowed?: number;
    readonly observedGeneration?: number;
    readonly disruptedPods?: Readonly<Record<string, string>>;
  };
}

export const evictionVerbs: SubresourceVerbs = {
  async create(scope) {
    const { request, info } = scope;
    const dryRun = writeOptionsOf(info.query, 'CreateOptions');
    const { value } = parseBody(await readBody(request), header(request.headers, 'content-type'), 'Eviction');
    const eviction = value as unknown as KubeObject & { readonly deleteOptions?: unknown };
    const name = eviction.metadata?.name;
    if (name && name !== info.name) throw badRequestError('name in URL does not match name in Eviction object');
    const given = eviction.deleteOptions ? decodeDeleteOptions(eviction.deleteOptions) : {};
    const options = checkedDeleteOptions({ ...given, ...(dryRun && { dryRun: ['All'] }) });
    const plain = { ...scope, info: { ...info, subresource: '', query: new URLSearchParams() } };
    const pod = await readStored(plain);
    const { phase } = (pod['status'] ?? {}) as { readonly phase?: string };
    const ended = phase === 'Succeeded' || phase === 'Failed' || phase === 'Pending';
    if (!ended && pod.metadata.deletionTimestamp === undefined)
      await takeFromBudget(scope, pod, (options.dryRun ?? []).length > 0);
    await deleteStored(plain, info.name, options);
    return respondValue(scope, 201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
  },
};

async function takeFromBudget({ deps, info }: RestScope, pod: KubeObject, dryRun: boolean): Promise<void> {
  const served = deps.registry.findAny('policy', 'poddisruptionbudgets');
  if (served === undefined) return;
  const prefix = keyOf(served.resource, info.namespace, '');
  const budgets = deps.cache
    .kind(served.resource.storagePath)
    .range(prefix)
    .filter(({ object }) => {
      const selector = selectorOf((object as Budget).spec?.selector);
      return selector !== undefined && matches(selector, pod.metadata.labels);
    });
  if (budgets.length === 0) return;
  if (budgets.length > 1)
    throw failure(
      500,
      'InternalError',
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  const [budget] = budgets;
  await deps.store.update(
    budget!.key,
    (current) => {
      if (current === undefined) throw tooMany('the disruption budget is gone', '');
      const { status = {}, metadata } = current as Budget;
      const allowed = status.disruptionsAllowed ?? 0;
      if ((status.observedGeneration ?? 0) < (metadata.generation ?? 0))
        throw tooMany(
          "Cannot evict pod as it would violate the pod's disruption budget.",
          `The disruption budget ${metadata.name} is still being processed by the server.`,
        );
      if (allowed <= 0)
        throw tooMany(
          "Cannot evict pod as it would violate the pod's disruption budget.",
          `The disruption budget ${metadata.name} needs more healthy pods`,
        );
      if (dryRun) return { kind: 'keep', object: current };
      const disruptedPods = {
        ...status.disruptedPods,
        [pod.metadata.name!]: timestamp(deps.clock.now()),
      };
      return {
        kind: 'put',
        object: { ...current, status: { ...status, disruptionsAllowed: allowed - 1, disruptedPods } },
      };
    },
    budget,
  );
}

function tooMany(message: string, cause: string) {
  return failure(429, 'TooManyRequests', message, { causes: [{ reason: 'DisruptionBudget', message: cause }] });
}
