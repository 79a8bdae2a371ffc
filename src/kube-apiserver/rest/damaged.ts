/** What readers are told of objects that cannot be read back from the store. Source: corrupt_obj_deleter.go of k8s.io/apiserver. */
import { failure, formatGroupResource, type StatusCause, type StatusError } from '#kube-machinery/status.ts';
import type { StoredObject, StoredObjectError } from '../storage/stored-object.ts';
import { groupResourceOf } from './get.ts';
import type { RestScope } from './scope.ts';

const reason = 'StorageReadError';
/** Objects that one refusal names. */
const namedMax = 100;

/** A list is of all there is: with one that cannot be read there is none. @throws StatusError StorageReadError */
export function refuseDamaged(scope: RestScope, items: readonly StoredObject[]): void {
  if (!items.some(({ damage }) => damage !== undefined)) return;
  const causes: StatusCause[] = [];
  for (const { damage } of items) {
    if (damage === undefined) continue;
    causes.push({ reason: 'UnexpectedServerResponse', message: damage.message, field: damage.key });
    if (causes.length < namedMax) continue;
    causes.push({ reason: 'FieldValueTooMany', message: 'too many errors, the list is truncated' });
    break;
  }
  const { group, resource } = groupResourceOf(scope);
  throw failure(
    500,
    reason,
    `failed to read one or more ${formatGroupResource({ group, resource })} from the storage`,
    { name: 'list', ...(group !== '' && { group }), kind: resource, causes },
  );
}

/** It is gone, and nobody can be shown what it was. */
export function deletedDamage({ why }: StoredObjectError): StatusError {
  return failure(500, reason, `saw a DELETED event, but object data is corrupt - ${why}`);
}
