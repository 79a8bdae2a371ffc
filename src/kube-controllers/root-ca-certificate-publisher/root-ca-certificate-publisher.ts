/** Puts the authority that pods verify the apiserver with into every namespace, as the ConfigMap `kube-root-ca.crt`. */
import { type ConfigMap, configMaps, type Namespace, namespaces } from '#kube-client/types/core.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { StatusError } from '#kube-machinery/status.ts';
import { type ControllerContext, createWorker, isNamespaceTerminating, orNotFound } from '../controller.ts';

export const rootCaConfigMap = 'kube-root-ca.crt';
const descriptionAnnotation = 'kubernetes.io/description';
const description =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or ' +
  'kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.';

export function startRootCaCertificatePublisher(
  context: ControllerContext,
  { rootCa }: { readonly rootCa: string },
): { run(): void } {
  const { informers, client } = context;
  const namespaceInformer = informers.informer<Namespace>(namespaces);
  const maps = informers.informer<ConfigMap>(configMaps, { fieldSelector: `metadata.name=${rootCaConfigMap}` });
  const worker = createWorker(context, sync);
  const { queue } = worker;
  const data = { 'ca.crt': rootCa };
  namespaceInformer.addHandlers({
    added: ({ metadata }) => queue.add(metadata.name),
    updated: (_, { metadata }) => queue.add(metadata.name),
  });
  maps.addHandlers({
    updated: (_, { metadata }) => queue.add(metadata.namespace!),
    deleted: ({ metadata }) => queue.add(metadata.namespace!),
  });
  return worker;

  async function sync(namespace: string): Promise<void> {
    const found = namespaceInformer.get(namespace);
    if (found === undefined || found.status?.phase === 'Terminating') return;
    const map = maps.get(`${namespace}/${rootCaConfigMap}`);
    const resource = client
      .withCause(`namespace ${namespace} needs the cluster's authority`)
      .resource<ConfigMap>(configMaps, namespace);
    if (map === undefined) {
      try {
        await resource.create({
          metadata: { name: rootCaConfigMap, namespace, annotations: { [descriptionAnnotation]: description } },
          data,
        });
      } catch (error) {
        // Not wanted any more, or there already: the informer will show it.
        if (isNamespaceTerminating(error) || (error instanceof StatusError && error.reason === 'AlreadyExists')) return;
        throw error;
      }
      return;
    }
    if (equal(map.data, data) && map.metadata.annotations?.[descriptionAnnotation] !== undefined) return;
    await orNotFound(
      resource.update({
        ...map,
        metadata: {
          ...map.metadata,
          annotations: { ...map.metadata.annotations, [descriptionAnnotation]: description },
        },
        data,
      }),
    );
  }
}
