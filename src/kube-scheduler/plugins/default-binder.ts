/** Binds through the API's `binding` subresource. */
import type { KubeClient } from '#kube-client/client.ts';
import { pods } from '#kube-client/types/core.ts';
import type { Plugin } from '../framework.ts';

export function defaultBinder(client: KubeClient): Plugin {
  return {
    name: 'DefaultBinder',
    async bind({ metadata }, node) {
      await client
        .withCause(`scheduled to ${node}`)
        .resource(pods, metadata.namespace)
        .post(metadata.name, 'binding', {
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { namespace: metadata.namespace, name: metadata.name, uid: metadata.uid },
          target: { kind: 'Node', name: node },
        });
    },
  };
}
