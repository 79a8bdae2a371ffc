/** The EndpointSlice controller: lists the pods behind every Service with a selector. Upstream's pkg/controller/endpointslice in duty. */
import { keyOf, splitKey } from '#kube-client/resource-ref.ts';
import { formatTime } from '#kube-client/time.ts';
import { type Node, nodes, type Pod, pods, type Service, services } from '#kube-client/types/core.ts';
import { type EndpointSlice, endpointSlices } from '#kube-client/types/discovery.ts';
import { matches, selectorOfMap } from '#kube-machinery/label-selector.ts';
import { type ControllerContext, createWorker, isNamespaceTerminating, orNotFound } from '../controller.ts';
import { backendChanged, triggerTimeAnnotation } from './backends.ts';
import { controllerName, managedByLabel, reconcileSlices, serviceNameLabel } from './reconcile.ts';
import { WriteTracker } from './write-tracker.ts';

const byService = 'service';
/** How soon to look again when the informer does not show our own writes yet. */
const staleRetryMs = 20;

export function startEndpointSliceController(context: ControllerContext): { run(): void } {
  const { informers, client, events, clock } = context;
  const serviceInformer = informers.informer<Service>(services);
  const podInformer = informers.informer<Pod>(pods);
  const nodeInformer = informers.informer<Node>(nodes);
  const slices = informers.informer<EndpointSlice>(endpointSlices);
  const worker = createWorker(context, sync);
  const { queue } = worker;
  const written = new WriteTracker(clock);

  slices.addIndex(byService, ({ metadata }) => [`${metadata.namespace}/${metadata.labels?.[serviceNameLabel] ?? ''}`]);
  serviceInformer.addHandlers({
    added: (service) => queue.add(keyOf(service)),
    updated: (_, service) => queue.add(keyOf(service)),
    deleted: (service) => {
      written.forget(keyOf(service));
      queue.add(keyOf(service));
    },
  });
  const enqueue = (pod: Pod) => {
    for (const service of serviceInformer.byIndex('namespace', pod.metadata.namespace ?? '')) {
      const selector = service.spec?.selector;
      if (selector !== undefined && matches(selectorOfMap(selector), pod.metadata.labels)) queue.add(keyOf(service));
    }
  };
  podInformer.addHandlers({
    added: enqueue,
    updated(before, after) {
      if (!backendChanged(before, after)) return;
      enqueue(before);
      enqueue(after);
    },
    deleted: enqueue,
  });
  const sliceSeen = ({ metadata }: EndpointSlice) => {
    const service = metadata.labels?.[serviceNameLabel];
    if (service !== undefined && metadata.labels?.[managedByLabel] === controllerName)
      queue.add(`${metadata.namespace}/${service}`);
  };
  slices.addHandlers({
    // Somebody else's hand in it is put right.
    updated: (_, after) => sliceSeen(after),
    deleted(slice) {
      written.gone(keyOf(slice));
      sliceSeen(slice);
    },
  });
  return worker;

  async function sync(key: string): Promise<void> {
    const service = serviceInformer.get(key);
    // The slices of a Service that is gone are the garbage collector's.
    if (service === undefined || service.metadata.deletionTimestamp !== undefined) return;
    if (service.spec?.type === 'ExternalName' || service.spec?.selector === undefined) return;
    const { namespace } = splitKey(key);
    if (!written.seen(key, (name) => slices.get(name)?.metadata.resourceVersion)) {
      queue.addAfter(key, staleRetryMs);
      return;
    }
    const selector = selectorOfMap(service.spec.selector);
    const changes = reconcileSlices({
      service,
      pods: podInformer.byIndex('namespace', namespace).filter(({ metadata }) => matches(selector, metadata.labels)),
      nodeOf: (name) => nodeInformer.get(name),
      existing: slices
        .byIndex(byService, key)
        .filter(
          ({ metadata }) =>
            metadata.labels?.[managedByLabel] === controllerName && metadata.deletionTimestamp === undefined,
        ),
    });
    const resource = client
      .withCause(`Service ${key}: its pods changed`)
      .resource<EndpointSlice>(endpointSlices, namespace);
    const stamp = { [triggerTimeAnnotation]: formatTime(clock.now()) };
    try {
      for (const slice of changes.create)
        written.wrote(key, await resource.create({ ...slice, metadata: { ...slice.metadata, annotations: stamp } }));
      for (const slice of changes.update)
        written.wrote(
          key,
          await resource.update({
            ...slice,
            metadata: { ...slice.metadata, annotations: { ...slice.metadata.annotations, ...stamp } },
          }),
        );
      for (const { metadata } of changes.remove) await orNotFound(resource.delete(metadata.name));
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      events.event(
        service,
        'Warning',
        'FailedToUpdateEndpointSlices',
        `Error updating Endpoint Slices for Service ${key}: ${error instanceof Error ? error.message : error}`,
      );
      throw error;
    }
  }
}
