/** Says on a pod why it is about to be deleted: the condition `DisruptionTarget`. */
import type { KubeClient } from '#kube-client/client.ts';
import { formatTime } from '#kube-client/time.ts';
import { type Pod, type PodStatus, pods } from '#kube-client/types/core.ts';
import type { Clock } from '#std/clock.ts';
import { orNotFound } from '../controller.ts';

/** @param more further fields of the status to set with it */
export async function markDisrupted(
  { client, clock }: { readonly client: KubeClient; readonly clock: Clock },
  pod: Pod,
  reason: string,
  message: string,
  more: Partial<PodStatus> = {},
): Promise<void> {
  const known = pod.status?.conditions?.find(({ type }) => type === 'DisruptionTarget');
  if (known?.status === 'True' && known.reason === reason && more.phase === undefined) return;
  await orNotFound(
    client.resource<Pod>(pods, pod.metadata.namespace).patch(
      pod.metadata.name,
      'strategic',
      {
        metadata: { uid: pod.metadata.uid },
        status: {
          ...more,
          conditions: [
            { type: 'DisruptionTarget', status: 'True', reason, message, lastTransitionTime: formatTime(clock.now()) },
          ],
        },
      },
      { subresource: 'status' },
    ),
  );
}
