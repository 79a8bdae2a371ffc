/** From the error classes of images, snapshots and the runtime to the status codes of the wire, as containerd's errgrpc maps them. */
import { ContentError } from '#image/error.ts';
import { RuntimeError } from '#runtime/error.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { SnapshotError } from '../snapshots/snapshotter.ts';

const codes: Readonly<Record<string, Code>> = {
  NotFound: Code.NotFound,
  AlreadyExists: Code.AlreadyExists,
  FailedPrecondition: Code.FailedPrecondition,
  InvalidArgument: Code.InvalidArgument,
  Unavailable: Code.Unavailable,
  Unimplemented: Code.Unimplemented,
  OutOfRange: Code.OutOfRange,
  Internal: Code.Internal,
  // What errdefs has no class for is Unknown.
  Unauthenticated: Code.Unknown,
  PermissionDenied: Code.Unknown,
  DataLoss: Code.Unknown,
  Unknown: Code.Unknown,
};

/** Any thrown value as what the caller is told; `prefix` says what was being done. */
export function toRpcError(error: unknown, prefix = ''): RpcError {
  const text = prefix === '' ? '' : `${prefix}: `;
  if (error instanceof RpcError)
    return prefix === '' ? error : new RpcError(error.code, text + error.message, { cause: error });
  const code =
    error instanceof ContentError || error instanceof SnapshotError || error instanceof RuntimeError
      ? (codes[error.code] ?? Code.Unknown)
      : Code.Unknown;
  return new RpcError(code, text + (error instanceof Error ? error.message : String(error)), { cause: error });
}

/** Runs `work`; what it throws says what was being done. */
export async function during<T>(prefix: string, work: () => Promise<T> | T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toRpcError(error, prefix);
  }
}

/** The runtime's refusal in the words of the shim that stands between upstream's daemon and its runtime: users know them from events. */
export function fromRuntime(verb: 'create' | 'start' | 'exec', error: unknown): unknown {
  if (!(error instanceof RuntimeError) || error.code !== 'Internal') return error;
  const said = { create: 'runc create failed: ', start: '', exec: 'exec failed: ' }[verb] + error.message;
  return new RpcError(Code.Unknown, `OCI runtime ${verb} failed: ${said}: unknown`, { cause: error });
}
