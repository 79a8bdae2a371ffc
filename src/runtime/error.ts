/**
 * The one error class of the OCI runtime. `code` is what callers branch on (containerd's error classes), `message` is the text
 * that upstream's runtime prints, because containerd's shim and podman match on it.
 */

export type RuntimeErrorCode =
  | 'NotFound'
  | 'AlreadyExists'
  | 'FailedPrecondition'
  | 'InvalidArgument'
  | 'Unimplemented'
  | 'Internal';

export class RuntimeError extends Error {
  override readonly name = 'RuntimeError';
  readonly code: RuntimeErrorCode;

  constructor(code: RuntimeErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
