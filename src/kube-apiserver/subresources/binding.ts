/** `POST .../pods/NAME/binding`: the scheduler's word, once. Source: BindingREST of pkg/registry/core/pod. */
import { decode } from '#kube-machinery/built-in-schemas.ts';
import { type FieldError, notSupported, required } from '#kube-machinery/field-error.ts';
import { badRequestError, conflictError, invalidError, noSuchPathError } from '#kube-machinery/status.ts';
import { type HttpResponse, header } from '#transport/http.ts';
import type { KubeObject } from '../object.ts';
import { jsonType, parseBody, readBody } from '../rest/body.ts';
import { timestamp } from '../rest/create.ts';
import type { SubresourceVerbs } from '../rest/dispatch.ts';
import { writeOptionsOf } from '../rest/options.ts';
import { type RestScope, respondValue } from '../rest/scope.ts';
import { updateStored } from '../rest/update.ts';

interface Condition {
  readonly type: string;
}

interface Binding extends KubeObject {
  readonly target?: { readonly kind?: string; readonly name?: string };
}

export const bindingVerbs: SubresourceVerbs = {
  create: async (scope) => bind(scope, await bindingOf(scope)),
};

/** `POST .../bindings`, the older way: the pod is the one that the binding is named after. */
export const legacyBindingVerbs: SubresourceVerbs = {
  async create(scope) {
    const binding = await bindingOf(scope);
    const name = binding.metadata?.name ?? '';
    const served = scope.deps.registry.find('', 'v1', 'pods');
    if (served === undefined) throw noSuchPathError();
    return bind({ ...scope, served, info: { ...scope.info, resource: 'pods', name } }, binding);
  },
};

const bindingKind = { group: '', version: 'v1', kind: 'Binding' };

/** @throws StatusError BadRequest */
async function bindingOf({ request }: RestScope): Promise<Binding> {
  const { value } = parseBody(await readBody(request), header(request.headers, 'content-type'), 'Binding');
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw badRequestError(`json: cannot unmarshal ${jsonType(value)} into Go value of type v1.Binding`);
  return decode(bindingKind, value, 'Ignore', () => {}) as unknown as Binding;
}

/** Source: ValidatePodBinding. */
function problemsOf({ target }: Binding): FieldError[] {
  const errors: FieldError[] = [];
  if (target?.kind && target.kind !== 'Node')
    errors.push(notSupported('target.kind', target.kind, ['Node', '<empty>']));
  if (!target?.name) errors.push(required('target.name'));
  return errors;
}

async function bind(scope: RestScope, binding: Binding): Promise<HttpResponse> {
  const { info, deps } = scope;
  const dryRun = writeOptionsOf(info.query, 'CreateOptions');
  const given = binding.metadata?.name;
  if (given && given !== info.name) throw badRequestError('name in URL does not match name in Binding object');
  const errors = problemsOf(binding);
  if (errors.length > 0) throw invalidError('', 'Binding', info.name, errors);
  const nodeName = binding.target!.name!;
  const internal = { ...scope, info: { ...info, subresource: 'binding' } };
  await updateStored(
    internal,
    (pod) => {
      const spec = (pod['spec'] ?? {}) as { readonly nodeName?: string };
      const refuse = (why: string) => conflictError({ group: '', resource: 'pods/binding' }, info.name, why);
      if (binding.metadata?.uid && binding.metadata.uid !== pod.metadata.uid)
        throw refuse(
          `Precondition failed: UID in precondition: ${binding.metadata.uid}, UID in object meta: ${pod.metadata.uid}`,
        );
      if (pod.metadata.deletionTimestamp !== undefined)
        throw refuse(`pod ${info.name} is being deleted, cannot be assigned to a host`);
      if (spec.nodeName) throw refuse(`pod ${info.name} is already assigned to node ${JSON.stringify(spec.nodeName)}`);
      return bound(pod, nodeName, binding, timestamp(deps.clock.now()));
    },
    dryRun,
    false,
  );
  return respondValue(scope, 201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
}

function bound(pod: KubeObject, nodeName: string, binding: KubeObject, now: string): KubeObject {
  const status = (pod['status'] ?? {}) as { readonly conditions?: readonly Condition[] };
  const scheduled = { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: now };
  const others = (status.conditions ?? []).filter(({ type }) => type !== 'PodScheduled');
  const { resourceVersion: _, ...metadata } = pod.metadata;
  const annotations = { ...metadata.annotations, ...binding.metadata?.annotations };
  return {
    ...pod,
    metadata: { ...metadata, ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: { ...(pod['spec'] as object), nodeName },
    status: { ...status, conditions: [...others, scheduled] },
  };
}
