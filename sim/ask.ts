/** One request of a client to a member, and how it may end: with an answer, with an error that says nothing has happened, or with nobody knowing. */
import type { Channel } from '#rpc/call.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { SimMember } from './cluster.ts';
import type { World } from './world/world.ts';

export type Ending<T> =
  | { readonly kind: 'answered'; readonly value: T }
  /** Nothing was done, and why. */
  | { readonly kind: 'refused'; readonly error: unknown }
  | { readonly kind: 'unknown' };

/** Errors after which nobody knows what has happened, or will. */
const unknowns: ReadonlySet<number> = new Set([Code.Unavailable, Code.DeadlineExceeded]);
/** Errors that no member has a reason for: nobody here cancels a request, and the others say that something was not thought of. */
const unexpected: ReadonlySet<number> = new Set([Code.Canceled, Code.Unknown, Code.Internal]);

/**
 * How a request ended that was answered with an error.
 * @param violated told of errors that no member has a reason for: their end is not known either
 */
export function endingOf(
  error: unknown,
  violated: (what: string) => void,
): Exclude<Ending<never>, { kind: 'answered' }> {
  const code = error instanceof RpcError ? error.code : undefined;
  const strange = code === undefined || unexpected.has(code);
  if (strange) violated(`answers ${code ?? ''} ${error instanceof Error ? (error.stack ?? error.message) : error}`);
  return strange || unknowns.has(code) ? { kind: 'unknown' } : { kind: 'refused', error };
}

/**
 * @param timeoutMs the client does not wait longer
 * @returns never rejects; an error that no member has a reason for is a broken promise, and the end unknown
 */
export function ask<T>(
  world: World,
  { run }: SimMember,
  timeoutMs: number,
  call: (channel: Channel) => Promise<T>,
): Promise<Ending<T>> {
  return new Promise((resolve) => {
    if (run?.channel === undefined) {
      resolve({ kind: 'refused', error: new Error('nobody listens') });
      return;
    }
    const { channel, clock, onEnd, violated } = run;
    const end = (ending: Ending<T>) => {
      timer[Symbol.dispose]();
      onEnd.delete(died);
      resolve(ending);
    };
    const died = () => end({ kind: 'unknown' });
    const timer = world.after(timeoutMs, died);
    onEnd.add(died);
    const send = () =>
      call(channel).then(
        (value) => {
          // An answer may get lost, too; and a process that is stopped, or dead, sends none.
          if (world.chance(3)) return;
          clock.whenRunning(() => end({ kind: 'answered', value }));
        },
        (error: unknown) => {
          if (!clock.alive) return;
          const ending = endingOf(error, violated);
          clock.whenRunning(() => end(ending));
        },
      );
    // Some requests are long on their way: the client may have given up when they arrive.
    if (world.chance(3)) clock.after(world.between(100, 4000), send);
    else clock.whenRunning(send);
  });
}
