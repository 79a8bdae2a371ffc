/**
 * Tells the API what became of each pod: the latest status wins, one write at a time per pod, tried again until it is through. Deletes
 * the pod's object once nothing of it is left on the node.
 */
import type { KubeClient, ResourceClient } from '#kube-client/client.ts';
import type { ResourceRef } from '#kube-client/resource-ref.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { StatusError } from '#kube-machinery/status.ts';
import { type Clock, sleep } from '#std/clock.ts';
import type { Scope } from '#std/scope.ts';
import { type Pod, type PodStatus, podKey } from './pod.ts';

export const pods: ResourceRef = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true };

interface Entry {
  pod: Pod;
  wanted: PodStatus | undefined;
  written: PodStatus | undefined;
  /** Everything of the pod is gone: the object may go. */
  finished: boolean;
  running: boolean;
}

const retryMs = 1000;

export class StatusManager {
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #scope: Scope;
  readonly #log: (message: string, error?: unknown) => void;
  readonly #entries = new Map<string, Entry>();

  constructor(
    scope: Scope,
    deps: {
      readonly client: KubeClient;
      readonly clock: Clock;
      readonly log: (message: string, error?: unknown) => void;
    },
  ) {
    this.#scope = scope;
    this.#client = deps.client;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  /** The status to show from now on. */
  set(pod: Pod, status: PodStatus): void {
    const entry = this.#entry(pod);
    entry.wanted = status;
    this.#start(entry);
  }

  /** What was last set, for those who ask before the API knows. */
  current(uid: string): PodStatus | undefined {
    return this.#entries.get(uid)?.wanted;
  }

  /** The pod's containers and volumes are gone; when it was deleted, its object goes too. */
  finish(pod: Pod): void {
    const entry = this.#entry(pod);
    entry.finished = true;
    this.#start(entry);
  }

  forget(uid: string): void {
    this.#entries.delete(uid);
  }

  #entry(pod: Pod): Entry {
    let entry = this.#entries.get(pod.metadata.uid);
    if (entry === undefined) {
      entry = { pod, wanted: undefined, written: pod.status, finished: false, running: false };
      this.#entries.set(pod.metadata.uid, entry);
    }
    entry.pod = pod;
    return entry;
  }

  #start(entry: Entry): void {
    if (entry.running || this.#scope.closed) return;
    entry.running = true;
    void this.#run(entry).finally(() => {
      entry.running = false;
    });
  }

  async #run(entry: Entry): Promise<void> {
    const { signal } = this.#scope;
    while (!signal.aborted) {
      const { wanted, written, pod } = entry;
      const resource = this.#client.resource<Pod>(pods, pod.metadata.namespace);
      try {
        if (wanted !== undefined && !equal(wanted, written)) {
          await this.#write(resource, pod, wanted, written);
          entry.written = wanted;
          continue;
        }
        if (entry.finished && pod.metadata.deletionTimestamp !== undefined) {
          await resource.delete(pod.metadata.name, {
            gracePeriodSeconds: 0,
            preconditions: { uid: pod.metadata.uid },
          });
          this.#entries.delete(pod.metadata.uid);
        }
        return;
      } catch (error) {
        if (error instanceof StatusError && (error.code === 404 || error.code === 409 || error.code === 410)) {
          // The object is gone, or another has its name: nobody wants to know any more.
          this.#entries.delete(pod.metadata.uid);
          return;
        }
        if (signal.aborted) return;
        this.#log(`status of pod ${podKey(pod)}`, error);
        await sleep(this.#clock, retryMs, signal).catch(() => {});
      }
    }
  }

  #write(resource: ResourceClient<Pod>, pod: Pod, wanted: PodStatus, written: PodStatus | undefined): Promise<Pod> {
    const status: Record<string, unknown> = { ...wanted };
    // What was there and is no longer must be taken away by name.
    for (const key of Object.keys(written ?? {})) if (!(key in status)) status[key] = null;
    return resource.patch(
      pod.metadata.name,
      'merge',
      { metadata: { uid: pod.metadata.uid }, status },
      { subresource: 'status' },
    );
  }
}
