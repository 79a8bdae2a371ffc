/** GetContainerEvents: what happens to pods and containers from now on, until the caller goes. */
import type { ContainerEventResponse } from '#api-cri/gen/api.ts';
import type { CallContext, Sink } from '#rpc/call.ts';
import type { CriContext } from './context.ts';
import { toRpcError } from './errors.ts';

export async function getContainerEvents(
  context: CriContext,
  sink: Sink<ContainerEventResponse>,
  call: Pick<CallContext, 'signal' | 'sendHeader'>,
): Promise<void> {
  using queue = context.events.subscribe();
  // The caller knows now that no later event is missed.
  call.sendHeader([]);
  const onAbort = () => queue.end(toRpcError(call.signal.reason));
  call.signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (call.signal.aborted) onAbort();
    for await (const event of queue) if (!sink.send(event)) await sink.drained();
  } finally {
    call.signal.removeEventListener('abort', onAbort);
  }
}
