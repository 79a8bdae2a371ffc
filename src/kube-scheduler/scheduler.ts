/**
 * The scheduling loop: takes the most urgent pod, decides, assumes the decision in its own books and binds in the background, so that
 * the next decision need not wait for the API.
 */
import type { KubeClient } from '#kube-client/client.ts';
import type { EventRecorder } from '#kube-client/event-recorder.ts';
import { formatTime } from '#kube-client/time.ts';
import { type Pod, pods } from '#kube-client/types/core.ts';
import { StatusError } from '#kube-machinery/status.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import type { ClusterCache } from './cluster-cache.ts';
import type { Plugin } from './framework.ts';
import { type Preemption, preempt } from './preemption.ts';
import type { QueuedPod, SchedulingQueue } from './queue.ts';
import { type Decision, decide, fitErrorMessage } from './schedule.ts';
import type { Verdicts } from './verdicts.ts';

/** Bindings under way at one time; the loop waits for one to end. */
export const bindingsMax = 64;

export class Scheduler {
  readonly #deps: SchedulerParts;
  #start = 0;
  #running = false;
  #closed = false;
  readonly #binding = new Set<Promise<void>>();

  constructor(deps: SchedulerParts) {
    this.#deps = deps;
  }

  /** Works the queue off; returns at once when that is going on already. */
  wake(): void {
    if (this.#running || this.#closed) return;
    this.#running = true;
    this.#loop().finally(() => {
      this.#running = false;
      // A pod may have become ready after the last look and before this.
      if (this.#deps.queue.counts.active > 0) this.wake();
    });
  }

  /** Takes no more pods; settles when the bindings under way have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#binding);
  }

  async #loop(): Promise<void> {
    // Others that became ready in this turn compete too.
    await Promise.resolve();
    while (!this.#closed) {
      while (this.#binding.size >= bindingsMax) await Promise.race(this.#binding);
      const queued = this.#deps.queue.pop();
      if (queued === undefined) return;
      this.#scheduleOne(queued);
    }
  }

  #scheduleOne(queued: QueuedPod): void {
    const { cache, plugins, prng, verdicts, clock, queue } = this.#deps;
    const { info } = queued;
    if (info.pod.metadata.deletionTimestamp !== undefined || cache.isPlaced(info.pod)) return;
    let decision: Decision;
    try {
      decision = decide({
        pod: info,
        nodes: cache.nodes,
        plugins,
        scoreContext: cache,
        start: this.#start,
        prng,
        view: (node) => cache.withNominated(node, info),
      });
    } catch (error) {
      this.#track(this.#failed(queued, 'SchedulerError', messageOf(error)));
      return;
    }
    const stamp = { pod: info.key, uid: info.pod.metadata.uid ?? '', atMs: clock.now(), attempts: queued.attempts };
    if (decision.kind === 'Unschedulable') {
      const preemption = preempt(info, decision, cache, plugins);
      const message = fitErrorMessage(decision, 'message' in preemption ? preemption.message : '');
      verdicts.add({ ...stamp, ...decision, message });
      queue.putBack(
        queued,
        new Set(decision.rejections.map(({ plugin }) => plugin).concat(decision.nodesTotal === 0 ? ['NoNodes'] : [])),
      );
      if ('victims' in preemption) {
        cache.nominate(info, preemption.node);
        this.#track(this.#evict(info.pod, preemption));
      }
      this.#track(
        this.#report(info.pod, 'Unschedulable', message, 'victims' in preemption ? preemption.node : undefined),
      );
      return;
    }
    this.#start = decision.next;
    verdicts.add({ ...stamp, kind: 'Scheduled', node: decision.node, scores: decision.scores });
    cache.place(info, decision.node);
    this.#track(this.#bind(queued, decision.node));
  }

  async #bind(queued: QueuedPod, node: string): Promise<void> {
    const { plugins, events, cache, queue, stillWanted, log } = this.#deps;
    const { pod, key } = queued.info;
    try {
      await plugins.find(({ bind }) => bind !== undefined)!.bind!(pod, node);
      events.event(
        pod,
        'Normal',
        'Scheduled',
        `Successfully assigned ${pod.metadata.namespace}/${pod.metadata.name} to ${node}`,
      );
    } catch (error) {
      // The answer was lost and the binding was not, or the pod went and perhaps another one of its name came: whoever saw that has
      // set the books right already, and this pod needs no node.
      if (!stillWanted(pod)) {
        log(`binding ${key}: ${messageOf(error)}`);
        return;
      }
      cache.removePod(key);
      queue.changed({ kind: 'AssignedPodDeleted', pod });
      // Deleted meanwhile: there is nothing to place.
      if (error instanceof StatusError && error.code === 404) return;
      await this.#failed(queued, 'SchedulerError', messageOf(error));
    }
  }

  async #failed(queued: QueuedPod, reason: string, message: string): Promise<void> {
    const { queue, verdicts, clock, log, stillWanted } = this.#deps;
    const { pod, key } = queued.info;
    log(`scheduling ${key}: ${message}`);
    verdicts.add({
      kind: 'Error',
      pod: key,
      uid: pod.metadata.uid ?? '',
      atMs: clock.now(),
      attempts: queued.attempts,
      message,
    });
    if (stillWanted(pod)) queue.putBack(queued, new Set());
    await this.#report(pod, reason, message);
  }

  /** Takes pods of lower priority away. The one they make room for comes back when they are gone. */
  async #evict(pod: Pod, { node, victims }: Preemption): Promise<void> {
    const { client, events, clock } = this.#deps;
    await Promise.all(
      victims.map(async ({ pod: victim }) => {
        const resource = client
          .withCause(
            `${pod.metadata.namespace}/${pod.metadata.name} has a higher priority and needs the room on ${node}`,
          )
          .resource<Pod>(pods, victim.metadata.namespace);
        const condition = {
          type: 'DisruptionTarget',
          status: 'True',
          reason: 'PreemptionByScheduler',
          message: `${pod.spec.schedulerName ?? 'default-scheduler'}: preempting to accommodate a higher priority pod`,
          lastTransitionTime: formatTime(clock.now()),
        };
        try {
          await resource.patch(
            victim.metadata.name,
            'strategic',
            { metadata: { uid: victim.metadata.uid }, status: { conditions: [condition] } },
            { subresource: 'status' },
          );
          await resource.delete(victim.metadata.name, { preconditions: { uid: victim.metadata.uid! } });
        } catch (error) {
          // Gone already, or another one by now: the room is made all the same.
          if (error instanceof StatusError && (error.code === 404 || error.code === 409)) return;
          throw error;
        }
        events.event(victim, 'Normal', 'Preempted', `Preempted by pod ${pod.metadata.uid} on node ${node}`);
      }),
    );
  }

  /** Says on the pod and in an event that there is no node for it. */
  async #report(pod: Pod, reason: string, message: string, nominated?: string): Promise<void> {
    const { client, events, clock, log } = this.#deps;
    events.event(pod, 'Warning', 'FailedScheduling', message);
    const condition = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    if (
      condition?.status === 'False' &&
      condition.reason === reason &&
      condition.message === message &&
      (nominated === undefined || nominated === pod.status?.nominatedNodeName)
    )
      return;
    try {
      await client
        .withCause(`no node fits: ${message}`)
        .resource<Pod>(pods, pod.metadata.namespace)
        .patch(
          pod.metadata.name,
          'strategic',
          {
            status: {
              ...(nominated !== undefined && { nominatedNodeName: nominated }),
              conditions: [
                {
                  type: 'PodScheduled',
                  status: 'False',
                  reason,
                  message,
                  ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
                  lastProbeTime: null,
                  lastTransitionTime:
                    condition?.status === 'False' ? condition.lastTransitionTime : formatTime(clock.now()),
                },
              ],
            },
          },
          { subresource: 'status' },
        );
    } catch (error) {
      if (!(error instanceof StatusError && error.code === 404))
        log(`status of ${pod.metadata.name}: ${messageOf(error)}`);
    }
  }

  #track(work: Promise<void>): void {
    const done = work
      .catch((error: unknown) => this.#deps.log(`scheduling: ${messageOf(error)}`))
      .finally(() => this.#binding.delete(done));
    this.#binding.add(done);
  }
}

export interface SchedulerParts {
  readonly client: KubeClient;
  readonly events: EventRecorder;
  readonly cache: ClusterCache;
  readonly queue: SchedulingQueue;
  readonly plugins: readonly Plugin[];
  readonly verdicts: Verdicts;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (message: string) => void;
  /** Is the pod still there, the same one, and without a node? */
  readonly stillWanted: (pod: Pod) => boolean;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
