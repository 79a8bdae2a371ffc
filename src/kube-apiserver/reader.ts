/**
 * How parts of the server read objects of other kinds (roles, service accounts, namespaces, priority classes): from the watch cache,
 * in memory. Objects carry their `resourceVersion`. May be a moment behind the store; `getLatest` asks the store itself.
 */
import type { KubeObject } from './object.ts';

export interface GroupResourceName {
  readonly group: string;
  readonly resource: string;
}

export interface ObjectReader {
  /** Undefined: not there. `namespace` is empty for cluster-scoped kinds. */
  get(resource: GroupResourceName, namespace: string, name: string): KubeObject | undefined;
  getLatest(resource: GroupResourceName, namespace: string, name: string): Promise<KubeObject | undefined>;
  /** All of a kind, or those of a namespace. */
  list(resource: GroupResourceName, namespace?: string): Iterable<KubeObject>;
  /** Calls back after each change of the kind, with the objects before and after. Dispose to stop. */
  watch(
    resource: GroupResourceName,
    onChange: (before: KubeObject | undefined, after: KubeObject | undefined) => void,
  ): Disposable;
}
