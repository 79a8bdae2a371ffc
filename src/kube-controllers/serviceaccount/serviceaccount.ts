/** The service account controller: every namespace has the account `default`. */
import { splitKey } from '#kube-client/resource-ref.ts';
import { type Namespace, namespaces, type ServiceAccount, serviceAccounts } from '#kube-client/types/core.ts';
import { StatusError } from '#kube-machinery/status.ts';
import { type ControllerContext, createWorker, isNamespaceTerminating } from '../controller.ts';

const accountName = 'default';

export function startServiceAccountController(context: ControllerContext): { run(): void } {
  const { informers, client } = context;
  const namespaceInformer = informers.informer<Namespace>(namespaces);
  const accounts = informers.informer<ServiceAccount>(serviceAccounts);
  const worker = createWorker(context, sync);
  const { queue } = worker;
  namespaceInformer.addHandlers({
    added: ({ metadata }) => queue.add(metadata.name),
    updated: (_, { metadata }) => queue.add(metadata.name),
  });
  accounts.addHandlers({
    deleted: ({ metadata }) => {
      if (metadata.name === accountName) queue.add(metadata.namespace!);
    },
  });
  return worker;

  async function sync(key: string): Promise<void> {
    const { name: namespace } = splitKey(key);
    const found = namespaceInformer.get(namespace);
    if (found === undefined || found.status?.phase === 'Terminating') return;
    if (accounts.get(`${namespace}/${accountName}`) !== undefined) return;
    try {
      await client
        .withCause(`namespace ${namespace} has no account ${accountName}`)
        .resource<ServiceAccount>(serviceAccounts, namespace)
        .create({ metadata: { name: accountName, namespace } });
    } catch (error) {
      // Made by somebody else, or not wanted any more.
      if (isNamespaceTerminating(error) || (error instanceof StatusError && error.reason === 'AlreadyExists')) return;
      throw error;
    }
  }
}
