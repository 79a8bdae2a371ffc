/** Waits until a node says it is Ready. */
import type { KubeClient } from '#kube-client/client.ts';
import type { ApiObject, ResourceRef } from '#kube-client/resource-ref.ts';
import type { Clock } from '#std/clock.ts';

interface Node extends ApiObject {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}

const nodes: ResourceRef = { group: '', version: 'v1', resource: 'nodes', kind: 'Node', namespaced: false };

/** @throws Error with what the node last said, when the time is over; the signal's reason */
export async function waitForReady(
  client: KubeClient,
  name: string,
  {
    clock,
    timeoutMs,
    signal,
  }: { readonly clock: Clock; readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const aborter = new AbortController();
  let last = 'it has not registered';
  const timer = clock.after(timeoutMs, () =>
    aborter.abort(new Error(`node ${name} is not Ready after ${timeoutMs / 1000} s: ${last}`)),
  );
  const onAbort = () => aborter.abort(signal!.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  try {
    while (true) {
      const watch = client
        .resource<Node>(nodes)
        .watch({ fieldSelector: `metadata.name=${name}`, signal: aborter.signal });
      for await (const { object } of watch) {
        const ready = object.status?.conditions?.find(({ type }) => type === 'Ready');
        if (ready?.status === 'True') return;
        if (ready?.message) last = ready.message;
      }
      aborter.signal.throwIfAborted();
    }
  } finally {
    timer[Symbol.dispose]();
    signal?.removeEventListener('abort', onAbort);
  }
}
