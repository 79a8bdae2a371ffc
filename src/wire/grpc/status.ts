/** gRPC status codes and the one error class that carries one. https://grpc.io/docs/guides/status-codes/ */

export const Code = {
  OK: 0,
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;
export type Code = (typeof Code)[keyof typeof Code];

/** `PermissionDenied` for 7. */
export function codeName(code: Code): string {
  return Object.entries(Code).find(([, value]) => value === code)?.[0] ?? `Code(${code})`;
}

/** The outcome of a call that failed; `message` is what goes into `grpc-message`, to the letter. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: Code;
  /** Encoded `google.rpc.Status`, for `grpc-status-details-bin`. */
  readonly details: Uint8Array | undefined;

  constructor(code: Code, message: string, options?: ErrorOptions & { details?: Uint8Array }) {
    super(message, options);
    this.code = code;
    this.details = options?.details;
  }

  /** Any thrown value as an RpcError; what is none becomes Unknown, as grpc-go does. */
  static from(error: unknown): RpcError {
    if (error instanceof RpcError) return error;
    return new RpcError(Code.Unknown, error instanceof Error ? error.message : String(error), { cause: error });
  }
}
