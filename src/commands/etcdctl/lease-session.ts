/** A lease that lives as long as the command: kept alive while it runs, and let go of at its end. */
import { Lease, LeaseGrantRequest } from '#api-etcd/gen/rpc.ts';
import { systemClock } from '#host/clock.ts';
import { sleep } from '#std/clock.ts';
import type { Session } from './session.ts';

export interface LeaseSession extends AsyncDisposable {
  readonly lease: bigint;
  /** Resolves when the lease could not be kept alive. */
  readonly expired: Promise<void>;
}

/** @param signal gives up while there is no lease yet */
export async function openLeaseSession(
  { channel }: Session,
  ttlSeconds: number,
  signal?: AbortSignal,
): Promise<LeaseSession> {
  const { methods } = Lease;
  const request = LeaseGrantRequest.create({ ttl: ttlSeconds });
  const { id } = await channel.unary(methods.leaseGrant, request, { ...(signal && { signal }) });
  const ended = new AbortController();
  const call = channel.open(methods.leaseKeepAlive, { signal: ended.signal });
  const keepAlive = async () => {
    const answers = call.messages[Symbol.asyncIterator]();
    for (;;) {
      call.send({ id });
      const { value, done } = await answers.next();
      if (done || value.ttl <= 0) return;
      await sleep(systemClock, (value.ttl * 1000) / 3, ended.signal);
    }
  };
  const { promise: expired, resolve: expire } = Promise.withResolvers<void>();
  keepAlive().then(expire, () => !ended.signal.aborted && expire());
  return {
    lease: id,
    expired,
    async [Symbol.asyncDispose]() {
      ended.abort();
      await call[Symbol.asyncDispose]();
    },
  };
}

/** Aborts at the first SIGINT or SIGTERM: what was begun is brought to an end. */
export function untilSignal(): { readonly signal: AbortSignal; readonly stopped: Promise<void> } {
  const controller = new AbortController();
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => {
      controller.abort();
      resolve();
    });
  return { signal: controller.signal, stopped: promise };
}
