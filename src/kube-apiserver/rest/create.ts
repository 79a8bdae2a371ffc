/** `POST` of a collection. Order: decode, system metadata, defaults, mutating admission, the kind's preparation, validation, validating admission, store. */
import type { FieldError } from '#kube-machinery/field-error.ts';
import { alreadyExistsError, failure, invalidError } from '#kube-machinery/status.ts';
import { below, type Prng, randomBytes } from '#std/prng.ts';
import type { HttpResponse } from '#transport/http.ts';
import type { KubeObject } from '../object.ts';
import type { ServedResource } from '../registry.ts';
import { keyOf, withRevision } from '../storage/stored-object.ts';
import type { Writer } from '../strategy.ts';
import { inNamespace } from './address.ts';
import { mutate, validate } from './admit.ts';
import { readObject } from './body.ts';
import { groupResourceOf } from './get.ts';
import { writeOptionsOf } from './options.ts';
import { recordWrite } from './record-write.ts';
import { type RestScope, respondObject, servedForm, storedForm } from './scope.ts';

export async function create(scope: RestScope): Promise<HttpResponse> {
  const dryRun = writeOptionsOf(scope.info.query, 'CreateOptions');
  const object = storedForm(scope, await readObject(scope));
  const created = await createStored(scope, object, dryRun);
  return respondObject(scope, 201, servedForm(scope, created));
}

/** With a generated name, so many are tried before the client is told. */
const generatedNameAttemptsMax = 8;

/** @param object in the stored version, as the client sent it. @throws StatusError */
export async function createStored(scope: RestScope, object: KubeObject, dryRun: boolean): Promise<KubeObject> {
  const { generateName, name } = object.metadata;
  const generated = !name && generateName;
  for (let attempt = 1; ; attempt++) {
    const created = await createOnce(scope, generated ? withGeneratedName(object, scope.deps.prng) : object, dryRun);
    if (typeof created !== 'string') return created;
    if (generated && attempt < generatedNameAttemptsMax) continue;
    const error = alreadyExistsError(groupResourceOf(scope), created);
    if (!generated) throw error;
    throw failure(
      409,
      'AlreadyExists',
      `${error.message}, the server was not able to generate a unique name for the object`,
      { ...error.status.details, retryAfterSeconds: 1 },
    );
  }
}

/** The object, or the name that was taken. */
async function createOnce(scope: RestScope, input: KubeObject, dryRun: boolean): Promise<KubeObject | string> {
  const { deps, served } = scope;
  const { strategy, resource } = served;
  let object = withSystemMetadata(scope, input);
  object = strategy.defaults(object);
  const name = object.metadata.name ?? '';
  object = (await mutate(scope, { operation: 'CREATE', object, oldObject: undefined, dryRun, name }))!;
  object = strategy.prepareCreate(object, writerOf(scope));
  refuse(served, object, strategy.validateCreate(object));
  await validate(scope, { operation: 'CREATE', object, oldObject: undefined, dryRun, name });
  const reservation = await strategy.around?.(object, undefined, dryRun);
  if (reservation !== undefined) object = reservation.object;
  try {
    const namespace = object.metadata.namespace ?? '';
    const key = keyOf(resource, namespace, object.metadata.name!);
    if (dryRun) {
      await reservation?.rollback();
      const { item, revision } = await deps.store.get(key);
      return item === undefined ? withRevision(object, revision) : object.metadata.name!;
    }
    const leaseId = strategy.ttlSeconds === undefined ? undefined : await deps.leaseFor(strategy.ttlSeconds);
    const created = await deps.store.create(key, object, leaseId === undefined ? {} : { leaseId });
    if (created === undefined) {
      await reservation?.rollback();
      return object.metadata.name!;
    }
    await reservation?.commit();
    recordWrite(scope, 'create', created);
    return created;
  } catch (error) {
    await reservation?.rollback();
    throw error;
  }
}

/** For strategies that write down who has asked, and when. */
export function writerOf({ deps, user }: RestScope): Writer {
  return { user, now: timestamp(deps.clock.now()) };
}

/** @throws StatusError Invalid */
export function refuse(served: ServedResource, object: KubeObject, errors: readonly FieldError[]): void {
  if (errors.length === 0) return;
  // A kind that is stored as one of another group is refused as that one.
  const { group } = served.resource.storedAs ?? served.resource;
  const { kind } = served.resource;
  throw invalidError(group, kind, object.metadata.name ?? '', errors);
}

function withSystemMetadata(scope: RestScope, object: KubeObject): KubeObject {
  const { metadata } = inNamespace(scope, object);
  if (metadata.resourceVersion && metadata.resourceVersion !== '0')
    throw failure(500, '', 'resourceVersion should not be set on objects to be created');
  const {
    deletionTimestamp: _d,
    deletionGracePeriodSeconds: _g,
    resourceVersion: _r,
    generation: _e,
    ...kept
  } = metadata as KubeObject['metadata'] & Record<string, unknown>;
  return {
    ...object,
    metadata: {
      ...kept,
      uid: uuid(scope.deps.prng),
      creationTimestamp: timestamp(scope.deps.clock.now()),
    },
  };
}

/** Without vowels and look-alikes, so that no word comes out. */
const nameAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const suffixLength = 5;
const baseLengthMax = 63 - suffixLength;

function withGeneratedName(object: KubeObject, prng: Prng): KubeObject {
  let name = object.metadata.generateName!.slice(0, baseLengthMax);
  for (let i = 0; i < suffixLength; i++) name += nameAlphabet[below(prng, nameAlphabet.length)];
  return { ...object, metadata: { ...object.metadata, name } };
}

/** RFC 4122 version 4. */
export function uuid(prng: Prng): string {
  const bytes = randomBytes(prng, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** RFC 3339 in whole seconds, as `metav1.Time` is written. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
