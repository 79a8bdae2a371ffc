/**
 * The one error class of images and content: containerd's error classes (errdefs), which its gRPC services turn into status codes.
 * `message` is the text that upstream gives.
 */

export type ContentErrorCode =
  | 'NotFound'
  | 'AlreadyExists'
  | 'FailedPrecondition'
  | 'InvalidArgument'
  | 'Unavailable'
  | 'Unauthenticated'
  | 'PermissionDenied'
  | 'OutOfRange'
  | 'DataLoss'
  | 'Unknown';

export class ContentError extends Error {
  override readonly name = 'ContentError';
  readonly code: ContentErrorCode;

  constructor(code: ContentErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
