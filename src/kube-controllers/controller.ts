/**
 * The shell every controller shares: workers that take keys from a queue and sync them, with back-off for what fails. What a sync does
 * is the controllers' own.
 */

import type { KubeClient } from '#kube-client/client.ts';
import type { EventRecorder } from '#kube-client/event-recorder.ts';
import type { InformerFactory } from '#kube-client/informer-factory.ts';
import { WorkQueue } from '#kube-client/work-queue.ts';
import { StatusError } from '#kube-machinery/status.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import type { Scope } from '#std/scope.ts';

/** What a controller's `start` function gets. */
export interface ControllerContext {
  readonly informers: InformerFactory;
  /** Writes as the controller's own user. */
  readonly client: KubeClient;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (message: string) => void;
  /** Ends the controller. */
  readonly scope: Scope;
}

export interface QueueWorker {
  readonly queue: WorkQueue;
  /** Starts the workers; to be called once the informers hold their first lists. */
  run(): void;
}

/**
 * A queue and its workers. A sync that throws is tried again after the key's back-off; conflicts and objects that are gone are part of
 * life and not logged.
 */
export function createWorker(
  { clock, log, scope }: Pick<ControllerContext, 'clock' | 'log' | 'scope'>,
  sync: (key: string, signal: AbortSignal) => Promise<void>,
  workers = 5,
): QueueWorker {
  const queue = scope.use(new WorkQueue(clock));
  const work = async (signal: AbortSignal) => {
    for (;;) {
      const key = await queue.take();
      if (key === undefined) return;
      try {
        await sync(key, signal);
        queue.forget(key);
      } catch (error) {
        if (signal.aborted) return;
        if (!isExpected(error)) log(`sync of ${key} failed: ${error instanceof Error ? error.message : error}`);
        queue.addRateLimited(key);
      } finally {
        queue.done(key);
      }
    }
  };
  return {
    queue,
    run() {
      // The queue closes first, so that waiting workers end.
      for (let i = 0; i < workers; i++) scope.run(work, (error) => log(`worker ended: ${error}`));
      scope.defer(() => queue[Symbol.dispose]());
    },
  };
}

function isExpected(error: unknown): boolean {
  return error instanceof StatusError && error.code === 409;
}

/** Undefined for an object that is not there. */
export async function orNotFound<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof StatusError && error.code === 404) return undefined;
    throw error;
  }
}

export function isNamespaceTerminating(error: unknown): boolean {
  return (
    error instanceof StatusError &&
    (error.status.details?.causes?.some(({ reason }) => reason === 'NamespaceTerminating') ?? false)
  );
}
