/**
 * `PUT` of an object or of its status, and what PATCH shares with it: one guarded update in which preconditions, the kind's rules and
 * admission all see the object that will be replaced.
 */

import { type FieldError, invalid } from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { conflictError, invalidError, notFoundError, optimisticLockText } from '#kube-machinery/status.ts';
import type { HttpResponse } from '#transport/http.ts';
import type { KubeObject } from '../object.ts';
import type { Change } from '../storage/object-store.ts';
import { keyOf, withRevision } from '../storage/stored-object.ts';
import type { Reservation } from '../strategy.ts';
import { asAddressed } from './address.ts';
import { mutate, validate } from './admit.ts';
import { readObject } from './body.ts';
import { createStored, refuse, writerOf } from './create.ts';
import { groupResourceOf } from './get.ts';
import { writeOptionsOf } from './options.ts';
import { recordWrite } from './record-write.ts';
import { type RestScope, respondObject, servedForm, storedForm } from './scope.ts';

export async function update(scope: RestScope): Promise<HttpResponse> {
  const dryRun = writeOptionsOf(scope.info.query, 'UpdateOptions');
  const object = asAddressed(scope, storedForm(scope, await readObject(scope)));
  const result = await updateStored(scope, () => object, dryRun, true);
  return respondObject(scope, result.created ? 201 : 200, servedForm(scope, result.object));
}

export interface Updated {
  /** In the stored version. */
  readonly object: KubeObject;
  readonly created: boolean;
}

/**
 * @param next the object wanted, from the one that is stored. Called again whenever somebody else wrote first.
 * @param whole a PUT: needs a resourceVersion where the kind demands one, and may create.
 * @throws StatusError
 */
export async function updateStored(
  scope: RestScope,
  next: (current: KubeObject) => Promise<KubeObject> | KubeObject,
  dryRun: boolean,
  whole: boolean,
): Promise<Updated> {
  const { deps, info, served } = scope;
  const { strategy, resource } = served;
  const key = keyOf(resource, info.namespace, info.name);
  let reservation: Reservation | undefined;
  let creating: KubeObject | undefined;
  const release = async () => {
    const held = reservation;
    reservation = undefined;
    await held?.rollback();
  };
  try {
    const result = await deps.store.update(
      key,
      async (current): Promise<Change> => {
        await release();
        creating = undefined;
        if (current === undefined) {
          if (!whole || !strategy.allowCreateOnUpdate || info.subresource !== '')
            throw notFoundError(groupResourceOf(scope), info.name);
          creating = await next(placeholder(scope));
          // Nothing to guard: creation has its own.
          return { kind: 'keep', object: creating };
        }
        const change = await changeOf(scope, current, await next(current), dryRun, whole);
        if (change.kind === 'put' && strategy.around && info.subresource === '') {
          reservation = await strategy.around(change.object, current, dryRun);
          return { kind: 'put', object: reservation.object };
        }
        return dryRun && change.kind !== 'keep' ? { kind: 'keep', object: dryRunForm(change.object, current) } : change;
      },
      deps.cache.kind(resource.storagePath).get(key),
    );
    if (creating !== undefined) return { object: await createStored(scope, creating, dryRun), created: true };
    const held = reservation as Reservation | undefined;
    reservation = undefined;
    await held?.commit();
    if (result.kind !== 'keep') recordWrite(scope, result.kind === 'delete' ? 'delete' : 'update', result.object);
    return { object: result.object, created: false };
  } catch (error) {
    await release();
    throw error;
  }
}

function placeholder({ info, served }: RestScope): KubeObject {
  const { group, version, kind } = served.resource;
  return { apiVersion: group === '' ? version : `${group}/${version}`, kind, metadata: { name: info.name } };
}

function dryRunForm(object: KubeObject, current: KubeObject): KubeObject {
  return withRevision(object, Number(current.metadata.resourceVersion));
}

/** The checks and rules of one attempt. */
async function changeOf(
  scope: RestScope,
  current: KubeObject,
  wanted: KubeObject,
  dryRun: boolean,
  whole: boolean,
): Promise<Change> {
  const { served, info } = scope;
  const { strategy, resource } = served;
  const { resourceVersion, uid } = wanted.metadata;
  if (uid && uid !== current.metadata.uid)
    throw conflictError(
      groupResourceOf(scope),
      info.name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`,
    );
  if (resourceVersion && resourceVersion !== '0') {
    if (resourceVersion !== current.metadata.resourceVersion)
      throw conflictError(groupResourceOf(scope), info.name, optimisticLockText);
  } else if (whole && !strategy.allowUnconditionalUpdate) {
    throw invalidError(resource.group, resource.kind, info.name, [
      invalid('metadata.resourceVersion', 0, 'must be specified for an update'),
    ]);
  }
  let object = strategy.defaults(withKeptMetadata(wanted, current));
  const input = { operation: 'UPDATE' as const, oldObject: current, dryRun };
  object = (await mutate(scope, { ...input, object }))!;
  object = prepared(scope, object, current);
  refuse(served, object, problemsOf(scope, object, current));
  await validate(scope, { ...input, object });
  if (isFinished(object, served.strategy.holdsBack?.(object) ?? false)) return { kind: 'delete', object };
  return same(object, current) ? { kind: 'keep', object: current } : { kind: 'put', object };
}

/** Each path may change its own part. What the server itself writes (a binding) is whole already. */
function prepared(scope: RestScope, object: KubeObject, current: KubeObject): KubeObject {
  const { strategy } = scope.served;
  switch (scope.info.subresource) {
    case '':
      return strategy.prepareUpdate(object, current);
    case 'status':
      return strategy.prepareStatusUpdate(object, current, writerOf(scope));
    case 'approval':
      return strategy.approval!.prepare(object, current, writerOf(scope));
    case 'finalize':
      return strategy.prepareFinalize?.(object, current) ?? object;
    default:
      return object;
  }
}

function problemsOf({ served, info }: RestScope, object: KubeObject, current: KubeObject): readonly FieldError[] {
  const { strategy } = served;
  switch (info.subresource) {
    case '':
      return strategy.validateUpdate(object, current);
    case 'approval':
      return strategy.approval!.validate(object, current);
    default:
      return strategy.validateStatusUpdate(object, current);
  }
}

/** Marked for deletion, and nothing holds it any more. */
function isFinished({ metadata }: KubeObject, heldBack: boolean): boolean {
  return (
    metadata.deletionTimestamp !== undefined &&
    (metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
    (metadata.finalizers ?? []).length === 0 &&
    !heldBack
  );
}

/** What the server owns in metadata stays as it is. */
function withKeptMetadata(object: KubeObject, current: KubeObject): KubeObject {
  const { metadata: old } = current;
  const {
    deletionTimestamp: _d,
    deletionGracePeriodSeconds: _g,
    generation: _e,
    creationTimestamp: _c,
    uid: _u,
    resourceVersion: _r,
    managedFields: _m,
    ...given
  } = object.metadata;
  return {
    ...object,
    metadata: {
      ...given,
      ...(old.namespace !== undefined && { namespace: old.namespace }),
      ...(old.uid !== undefined && { uid: old.uid }),
      ...(old.generation !== undefined && { generation: old.generation }),
      ...(old.creationTimestamp !== undefined && { creationTimestamp: old.creationTimestamp }),
      ...(old.deletionTimestamp !== undefined && { deletionTimestamp: old.deletionTimestamp }),
      ...(old.deletionGracePeriodSeconds !== undefined && {
        deletionGracePeriodSeconds: old.deletionGracePeriodSeconds,
      }),
      ...(old.resourceVersion !== undefined && { resourceVersion: old.resourceVersion }),
    },
  };
}

function same(a: KubeObject, b: KubeObject): boolean {
  return equal(a, b);
}
