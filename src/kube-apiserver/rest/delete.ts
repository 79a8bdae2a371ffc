/**
 * `DELETE` of one object: at once, or by a mark (deletionTimestamp) while a grace period or finalizers hold it. Source: Store.Delete and
 * rest.BeforeDelete of k8s.io/apiserver.
 */
import { conflictError, notFoundError, success } from '#kube-machinery/status.ts';
import type { HttpResponse } from '#transport/http.ts';
import type { KubeObject } from '../object.ts';
import type { Change } from '../storage/object-store.ts';
import { keyOf } from '../storage/stored-object.ts';
import type { DeleteOptions } from '../strategy.ts';
import { validate } from './admit.ts';
import { timestamp } from './create.ts';
import { deleteOptionsOf } from './delete-options.ts';
import { groupResourceOf } from './get.ts';
import { recordWrite } from './record-write.ts';
import { type RestScope, respondObject, respondValue, servedForm } from './scope.ts';

export async function remove(scope: RestScope): Promise<HttpResponse> {
  const options = await deleteOptionsOf(scope);
  const { object, deleted } = await deleteStored(scope, scope.info.name, options);
  const { resource, strategy } = scope.served;
  if (!deleted || strategy.returnsDeleted) return respondObject(scope, 200, servedForm(scope, object));
  const { name, uid } = object.metadata;
  return respondValue(
    scope,
    200,
    success({
      ...(name && { name }),
      ...(resource.group !== '' && { group: resource.group }),
      kind: resource.resource,
      ...(uid && { uid }),
    }),
  );
}

const orphanFinalizer = 'orphan';
const foregroundFinalizer = 'foregroundDeletion';

/** @param options as they were checked. @throws StatusError */
export async function deleteStored(
  scope: RestScope,
  name: string,
  options: DeleteOptions,
): Promise<{ readonly object: KubeObject; readonly deleted: boolean }> {
  const { deps, info, served } = scope;
  const { strategy, resource } = served;
  const dryRun = (options.dryRun ?? []).length > 0;
  const key = keyOf(resource, info.namespace, name);
  let deleted = false;
  let old: KubeObject | undefined;
  const result = await deps.store.update(
    key,
    async (current): Promise<Change> => {
      if (current === undefined) throw notFoundError(groupResourceOf(scope), name);
      old = current;
      checkPreconditions(scope, current, options, name);
      await validate(scope, { operation: 'DELETE', object: undefined, oldObject: current, dryRun, name });
      const change = deletionOf(scope, current, options);
      deleted = change.kind === 'delete';
      return dryRun ? { kind: 'keep', object: change.object } : change;
    },
    deps.cache.kind(resource.storagePath).get(key),
  );
  if (deleted && !dryRun) {
    const reservation = await strategy.around?.(undefined, old, dryRun);
    await reservation?.commit();
  }
  if (result.kind !== 'keep') recordWrite(scope, 'delete', result.object);
  return { object: result.object, deleted };
}

/** @throws StatusError Conflict */
function checkPreconditions(
  { served }: RestScope,
  { metadata }: KubeObject,
  options: DeleteOptions,
  name: string,
): void {
  const { uid, resourceVersion } = options.preconditions ?? {};
  const { group, kind, resource } = served.resource;
  const ofUid = uid !== undefined && uid !== metadata.uid;
  const ofVersion = resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion;
  if (!ofUid && !ofVersion) return;
  // Namespaces look for themselves, in words of their own.
  if (resource === 'namespaces' && group === '')
    throw conflictError(
      { group, resource },
      name,
      ofUid
        ? `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`
        : `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`,
    );
  // Upstream names the kind here, where other refusals name the resource.
  throw conflictError(
    { group, resource: kind },
    name,
    ofUid
      ? `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`
      : `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`,
  );
}

function deletionOf({ deps, served }: RestScope, current: KubeObject, options: DeleteOptions): Change {
  const { strategy } = served;
  const { metadata } = current;
  const finalizers = finalizersFor(metadata.finalizers ?? [], options);
  const nowMs = deps.clock.now();
  const asked = strategy.graceSeconds?.(current, options);
  const already = metadata.deletionTimestamp !== undefined;

  if (already && asked !== undefined && asked > 0) {
    const left = metadata.deletionGracePeriodSeconds ?? 0;
    // A running grace period may only be shortened.
    if (left === 0 || asked >= left) {
      if (sameList(finalizers, metadata.finalizers ?? [])) return { kind: 'keep', object: current };
      return { kind: 'put', object: { ...current, metadata: { ...metadata, finalizers } } };
    }
    const begunMs = Date.parse(metadata.deletionTimestamp!) - left * 1000;
    return marked(current, finalizers, begunMs + asked * 1000, asked);
  }
  const held = finalizers.length > 0 || strategy.holdsBack?.(current);
  if (asked !== undefined && asked > 0) return marked(current, finalizers, nowMs + asked * 1000, asked);
  if (held) {
    if (already && (metadata.deletionGracePeriodSeconds ?? 0) === 0 && sameList(finalizers, metadata.finalizers ?? []))
      return { kind: 'keep', object: current };
    const atMs = already ? Date.parse(metadata.deletionTimestamp!) : nowMs;
    const change = marked(current, finalizers, atMs, 0);
    return strategy.markDeleted ? { ...change, object: strategy.markDeleted(change.object) } : change;
  }
  return { kind: 'delete', object: current };
}

function marked(
  current: KubeObject,
  finalizers: readonly string[],
  atMs: number,
  graceSeconds: number,
): Change & { readonly kind: 'put' } {
  const { finalizers: _, ...metadata } = current.metadata;
  return {
    kind: 'put',
    object: {
      ...current,
      metadata: {
        ...metadata,
        ...(finalizers.length > 0 && { finalizers }),
        ...(metadata.generation !== undefined &&
          metadata.deletionTimestamp === undefined && { generation: metadata.generation + 1 }),
        deletionTimestamp: timestamp(atMs),
        deletionGracePeriodSeconds: graceSeconds,
      },
    },
  };
}

/** The garbage collector's finalizers as the propagation policy wants them; the default leaves dependents to it in the background. */
function finalizersFor(current: readonly string[], options: DeleteOptions): readonly string[] {
  const policy =
    options.propagationPolicy ??
    (options.orphanDependents === undefined ? undefined : options.orphanDependents ? 'Orphan' : 'Background');
  const has = (name: string) => current.includes(name);
  const orphan = policy === 'Orphan' || (policy === undefined && has(orphanFinalizer));
  const foreground = policy === 'Foreground' || (policy === undefined && has(foregroundFinalizer));
  if (orphan === has(orphanFinalizer) && foreground === has(foregroundFinalizer)) return current;
  const rest = current.filter((name) => name !== orphanFinalizer && name !== foregroundFinalizer);
  return [...rest, ...(orphan ? [orphanFinalizer] : []), ...(foreground ? [foregroundFinalizer] : [])];
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
