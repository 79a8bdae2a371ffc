/** Nothing is created in a namespace that is not there or is going away; the first namespaces stay. Source: plugin NamespaceLifecycle. */
import { failure, forbiddenError, formatGroupResource, notFoundError } from '#kube-machinery/status.ts';
import type { AdmissionPlugin } from '../admission.ts';
import type { ObjectReader } from '../reader.ts';

const immortal = new Set(['default', 'kube-system', 'kube-public']);
const namespaces = { group: '', resource: 'namespaces' };

export function namespaceLifecycle(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'NamespaceLifecycle',
    handles: ({ operation, namespace, resource }) =>
      (operation === 'DELETE' && resource.resource === 'namespaces' && resource.group === '') ||
      (operation === 'CREATE' && namespace !== '' && resource.namespaced),
    async validate(request) {
      const { operation, resource, name, namespace } = request;
      if (operation === 'DELETE') {
        if (immortal.has(name)) throw forbiddenError(namespaces, name, 'this namespace may not be deleted');
        return;
      }
      // Reviews are questions; they may be asked about anything.
      if (resource.group === 'authorization.k8s.io') return;
      const found = reader.get(namespaces, '', namespace) ?? (await reader.getLatest(namespaces, '', namespace));
      if (found === undefined) throw notFoundError(namespaces, namespace);
      if (found.metadata.deletionTimestamp === undefined) return;
      const { group } = resource;
      const text = `${formatGroupResource({ group, resource: resource.resource })} ${JSON.stringify(name)} is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`;
      throw failure(403, 'Forbidden', text, {
        ...(name !== '' && { name }),
        ...(group !== '' && { group }),
        kind: resource.resource,
        causes: [
          {
            reason: 'NamespaceTerminating',
            message: `namespace ${namespace} is being terminated`,
            field: 'metadata.namespace',
          },
        ],
      });
    },
  };
}
