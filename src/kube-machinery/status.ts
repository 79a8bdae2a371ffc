/**
 * The answer to a request that failed: `Status` of meta/v1, with upstream's codes, reasons and messages to the letter
 * (apimachinery's api/errors). The one error table of the Kubernetes API.
 */
import { errorBody, type FieldError, formatFieldErrors } from './field-error.ts';

export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: { readonly continue?: string };
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code: number;
}

/** A request's failure; `status` is what the client gets. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly status: Status;

  constructor(status: Status, options?: ErrorOptions) {
    super(status.message ?? status.reason ?? 'unknown', options);
    this.status = status;
  }

  get code(): number {
    return this.status.code;
  }

  get reason(): string {
    return this.status.reason ?? '';
  }
}

/** A resource as messages name it: `pods`, `deployments.apps`. */
export interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

export function formatGroupResource({ group, resource }: GroupResource): string {
  return group === '' ? resource : `${resource}.${group}`;
}

export function failure(code: number, reason: string, message: string, details?: StatusDetails): StatusError {
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details && { details }),
    code,
  });
}

function detailsOf({ group, resource }: GroupResource, name: string, more?: StatusDetails): StatusDetails {
  return { ...(name !== '' && { name }), ...(group !== '' && { group }), kind: resource, ...more };
}

export function notFoundError(resource: GroupResource, name: string): StatusError {
  return failure(
    404,
    'NotFound',
    `${formatGroupResource(resource)} ${JSON.stringify(name)} not found`,
    detailsOf(resource, name),
  );
}

/** The path itself is not served. */
export function noSuchPathError(): StatusError {
  return failure(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function alreadyExistsError(resource: GroupResource, name: string): StatusError {
  return failure(
    409,
    'AlreadyExists',
    `${formatGroupResource(resource)} ${JSON.stringify(name)} already exists`,
    detailsOf(resource, name),
  );
}

export function conflictError(resource: GroupResource, name: string, reason: string): StatusError {
  return failure(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${formatGroupResource(resource)} ${JSON.stringify(name)}: ${reason}`,
    detailsOf(resource, name),
  );
}

/** What the client changed is no longer what is stored. */
export const optimisticLockText =
  'the object has been modified; please apply your changes to the latest version and try again';

export function unauthorizedError(message = 'Unauthorized'): StatusError {
  return failure(401, 'Unauthorized', message);
}

export function forbiddenError(resource: GroupResource, name: string, reason: string): StatusError {
  const what = name === '' ? formatGroupResource(resource) : `${formatGroupResource(resource)} ${JSON.stringify(name)}`;
  return failure(403, 'Forbidden', `${what} is forbidden: ${reason}`, detailsOf(resource, name));
}

export function invalidError(group: string, kind: string, name: string, errors: readonly FieldError[]): StatusError {
  const qualified = group === '' ? kind : `${kind}.${group}`;
  return failure(422, 'Invalid', `${qualified} ${JSON.stringify(name)} is invalid: ${formatFieldErrors(errors)}`, {
    ...(name !== '' && { name }),
    ...(group !== '' && { group }),
    ...(kind !== '' && { kind }),
    causes: errors.map((error) => ({ reason: error.type, message: errorBody(error), field: error.field })),
  });
}

export function badRequestError(message: string): StatusError {
  return failure(400, 'BadRequest', message);
}

export function methodNotSupportedError(resource: GroupResource, action: string): StatusError {
  return failure(
    405,
    'MethodNotAllowed',
    `${action} is not supported on resources of kind ${JSON.stringify(formatGroupResource(resource))}`,
    detailsOf(resource, ''),
  );
}

export function methodNotAllowedError(): StatusError {
  return failure(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});
}

export function notAcceptableError(accepted: readonly string[]): StatusError {
  return failure(406, 'NotAcceptable', `only the following media types are accepted: ${accepted.join(', ')}`);
}

export function unsupportedMediaTypeError(accepted: readonly string[]): StatusError {
  return failure(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );
}

export function expiredError(message: string): StatusError {
  return failure(410, 'Expired', message);
}

export function tooLargeError(message: string): StatusError {
  return failure(413, 'RequestEntityTooLarge', message);
}

export function tooManyRequestsError(message: string, retryAfterSeconds: number): StatusError {
  return failure(429, 'TooManyRequests', message, { retryAfterSeconds });
}

export function timeoutError(message: string, retryAfterSeconds = 0): StatusError {
  return failure(504, 'Timeout', `Timeout: ${message}`, retryAfterSeconds > 0 ? { retryAfterSeconds } : {});
}

/** The resource version asked for has not been reached yet. */
export function tooLargeResourceVersionError(asked: number, current: number, retryAfterSeconds: number): StatusError {
  return failure(504, 'Timeout', `Timeout: Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds,
  });
}

export function serviceUnavailableError(message: string): StatusError {
  return failure(503, 'ServiceUnavailable', message);
}

export function internalError(error: unknown): StatusError {
  const message = error instanceof Error ? error.message : String(error);
  return failure(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] });
}

export function success(details: StatusDetails): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details, code: 200 };
}
