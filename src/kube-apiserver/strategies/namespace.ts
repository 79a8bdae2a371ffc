/** Namespaces: a delete marks them Terminating; they go when the namespace controller has emptied them. Source: pkg/registry/core/namespace. */
import type { KubeObject } from '../object.ts';
import type { Strategy } from '../strategy.ts';

const specFinalizers = (namespace: KubeObject) =>
  ((namespace['spec'] ?? {}) as { readonly finalizers?: readonly string[] }).finalizers ?? [];

export function namespaceStrategy(generic: Strategy): Strategy {
  return {
    ...generic,
    prepareCreate(object, writer) {
      const namespace = generic.prepareCreate(object, writer);
      const finalizers = specFinalizers(namespace);
      return {
        ...namespace,
        spec: { finalizers: finalizers.includes('kubernetes') ? finalizers : [...finalizers, 'kubernetes'] },
        status: { phase: 'Active' },
      };
    },
    prepareUpdate(object, old) {
      // Finalizers of the spec have a path of their own.
      return { ...generic.prepareUpdate(object, old), spec: old['spec'] ?? {} };
    },
    prepareFinalize: finalizedNamespace,
    markDeleted: (object) => ({
      ...object,
      status: { ...((object['status'] ?? {}) as object), phase: 'Terminating' },
    }),
    holdsBack: (object) => specFinalizers(object).length > 0,
  };
}

/** `PUT .../finalize` changes the finalizers of the spec alone. */
function finalizedNamespace(object: KubeObject, old: KubeObject): KubeObject {
  return { ...old, spec: { ...((old['spec'] ?? {}) as object), finalizers: specFinalizers(object) } };
}
