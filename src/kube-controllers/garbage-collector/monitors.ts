/** Watches the metadata of every kind that can be deleted, as kinds come and go, and tells the graph. */
import type { KubeClient } from '#kube-client/client.ts';
import { type DiscoveredResource, discover, preferredResources } from '#kube-client/discovery.ts';
import { InformerStore } from '#kube-client/informer.ts';
import { type ApiObject, apiVersionOf } from '#kube-client/resource-ref.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import type { OwnerGraph } from './graph.ts';

interface Monitor {
  readonly store: InformerStore<ApiObject>;
  readonly aborter: AbortController;
  readonly ended: Promise<void>;
}

export interface MonitorsConfig {
  readonly client: KubeClient;
  readonly graph: OwnerGraph;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (message: string) => void;
}

/** Too many, too short-lived, and owned by nobody. */
const ignored: ReadonlySet<string> = new Set(['/events', 'events.k8s.io/events']);

export class Monitors implements AsyncDisposable {
  readonly #config: MonitorsConfig;
  readonly #monitors = new Map<string, Monitor>();
  /** By `apiVersion kind`, in every version. */
  #kinds: ReadonlyMap<string, DiscoveredResource> = new Map();

  constructor(config: MonitorsConfig) {
    this.#config = config;
  }

  resourceOf(apiVersion: string, kind: string): DiscoveredResource | undefined {
    return this.#kinds.get(`${apiVersion} ${kind}`);
  }

  /** Brings the monitors in line with what the server serves now; settles when new ones hold their first lists. */
  async refresh(signal: AbortSignal): Promise<void> {
    const { client } = this.#config;
    const found = await discover(client, signal);
    const kinds = new Map(found.resources.map((resource) => [`${apiVersionOf(resource)} ${resource.kind}`, resource]));
    const failed = new Set(found.failures.map(({ groupVersion }) => groupVersion));
    // A group that did not answer keeps its kinds: not knowing is not knowing that they are gone.
    for (const [key, resource] of this.#kinds)
      if (failed.has(apiVersionOf(resource)) && !kinds.has(key)) kinds.set(key, resource);
    this.#kinds = kinds;
    const wanted = new Map(
      preferredResources({ ...found, resources: [...kinds.values()] })
        .filter(({ verbs }) => ['list', 'watch', 'delete'].every((verb) => verbs.includes(verb)))
        .map((resource) => [`${resource.group}/${resource.resource}` as string, resource] as const)
        .filter(([key]) => !ignored.has(key)),
    );
    for (const [key, monitor] of this.#monitors)
      if (!wanted.has(key)) {
        this.#monitors.delete(key);
        await stop(monitor);
      }
    const added: Promise<void>[] = [];
    for (const [key, resource] of wanted)
      if (!this.#monitors.has(key)) {
        const monitor = this.#start(resource);
        this.#monitors.set(key, monitor);
        added.push(monitor.store.synced);
      }
    await Promise.allSettled(added);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#monitors.values(), stop));
    this.#monitors.clear();
  }

  #start(resource: DiscoveredResource): Monitor {
    const { client, graph, clock, prng, log } = this.#config;
    const store = new InformerStore<ApiObject>();
    const aborter = new AbortController();
    const typed = (object: ApiObject): ApiObject =>
      // A server may call the object PartialObjectMetadata: the graph wants to know what it is.
      ({ metadata: object.metadata, apiVersion: apiVersionOf(resource), kind: resource.kind });
    store.addHandlers({
      added: (object) => graph.observed(typed(object)),
      updated: (_, object) => graph.observed(typed(object)),
      deleted: ({ metadata }) => graph.removed(metadata.uid!),
    });
    const ended = store.run({
      client: client.resource<ApiObject>(resource),
      select: { metadataOnly: true },
      clock,
      prng,
      onError: (error) => log(`watching ${resource.resource}: ${error instanceof Error ? error.message : error}`),
      signal: aborter.signal,
    });
    return { store, aborter, ended };
  }
}

async function stop({ aborter, ended }: Monitor): Promise<void> {
  aborter.abort(new Error('not watched any more'));
  await ended;
}
