/** Container events: from whoever changes a container to every open GetContainerEvents stream. A stream that does not read is ended. */
import type { ContainerEventResponse } from '#api-cri/gen/api.ts';
import { BoundedQueue } from '#std/bounded-queue.ts';

/** containerd's CRI drops events beyond 1000 that nobody took; here the slow stream ends, so that its reader lists again. */
export const eventsPendingMax = 1000;

export class CriEvents {
  readonly #subscribers = new Set<BoundedQueue<ContainerEventResponse>>();

  publish(event: ContainerEventResponse): void {
    for (const queue of this.#subscribers)
      if (!queue.push(event)) {
        queue.end(new Error(`more than ${eventsPendingMax} events are pending`));
        this.#subscribers.delete(queue);
      }
  }

  subscribe(): BoundedQueue<ContainerEventResponse> & Disposable {
    const queue = new BoundedQueue<ContainerEventResponse>(eventsPendingMax);
    this.#subscribers.add(queue);
    return Object.assign(queue, {
      [Symbol.dispose]: () => {
        queue.end();
        this.#subscribers.delete(queue);
      },
    });
  }

  get subscribed(): boolean {
    return this.#subscribers.size > 0;
  }
}
