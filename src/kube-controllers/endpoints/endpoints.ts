/** The Endpoints controller: the older list of the pods behind a Service, one object each. Upstream's pkg/controller/endpoint in duty. */
import { keyOf, splitKey } from '#kube-client/resource-ref.ts';
import { formatTime } from '#kube-client/time.ts';
import { type Endpoints, endpoints, type Pod, pods, type Service, services } from '#kube-client/types/core.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { matches, selectorOfMap } from '#kube-machinery/label-selector.ts';
import { type ControllerContext, createWorker, isNamespaceTerminating, orNotFound } from '../controller.ts';
import { backendChanged, headlessLabel, isHeadless, triggerTimeAnnotation } from '../endpointslice/backends.ts';
import { subsetsOf } from './subsets.ts';

const managedByLabel = 'endpoints.kubernetes.io/managed-by';
const controllerName = 'endpoint-controller';
const overCapacityAnnotation = 'endpoints.kubernetes.io/over-capacity';

export function startEndpointsController(context: ControllerContext): { run(): void } {
  const { informers, client } = context;
  const serviceInformer = informers.informer<Service>(services);
  const podInformer = informers.informer<Pod>(pods);
  const informer = informers.informer<Endpoints>(endpoints);
  const worker = createWorker(context, sync);
  const { queue } = worker;
  serviceInformer.addHandlers({
    added: (service) => queue.add(keyOf(service)),
    updated: (_, service) => queue.add(keyOf(service)),
    deleted: (service) => queue.add(keyOf(service)),
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
  informer.addHandlers({ deleted: (object) => queue.add(keyOf(object)) });
  return worker;

  async function sync(key: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const service = serviceInformer.get(key);
    const current = informer.get(key);
    const resource = client.withCause(`Service ${key}: its pods changed`).resource<Endpoints>(endpoints, namespace);
    if (service === undefined) {
      if (current !== undefined) await orNotFound(resource.delete(name));
      return;
    }
    if (service.spec?.type === 'ExternalName' || service.spec?.selector === undefined) return;
    const selector = selectorOfMap(service.spec.selector);
    const { subsets, truncated } = subsetsOf(
      service,
      podInformer.byIndex('namespace', namespace).filter(({ metadata }) => matches(selector, metadata.labels)),
    );
    const labels = {
      ...service.metadata.labels,
      ...(isHeadless(service) && { [headlessLabel]: '' }),
      [managedByLabel]: controllerName,
    };
    const { [overCapacityAnnotation]: over, ...annotations } = current?.metadata.annotations ?? {};
    if (
      current !== undefined &&
      equal(current.subsets ?? [], subsets) &&
      equal(current.metadata.labels ?? {}, labels) &&
      (over !== undefined) === truncated
    )
      return;
    const wanted: Endpoints = {
      ...current,
      metadata: {
        ...(current?.metadata ?? { name, namespace }),
        labels,
        annotations: {
          ...annotations,
          [triggerTimeAnnotation]: formatTime(context.clock.now()),
          ...(truncated && { [overCapacityAnnotation]: 'truncated' }),
        },
      },
      subsets,
    };
    try {
      if (current === undefined) await resource.create(wanted);
      else await orNotFound(resource.update(wanted));
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      throw error;
    }
  }
}
