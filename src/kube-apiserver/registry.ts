/**
 * Which resources are served right now. Changes while the server runs (custom resources, tests); the router, discovery and the
 * controllers that walk all kinds read it at every use.
 */
import type { Resource } from '#api-kube/resource.ts';
import type { PatchSchema } from '#kube-machinery/strategic-merge-patch.ts';
import type { KubeObject } from './object.ts';
import type { Strategy } from './strategy.ts';

/** A resource and all that is needed to serve it. */
export interface ServedResource {
  readonly resource: Resource;
  readonly strategy: Strategy;
  /** Fields a client may select by, and how each is read from the stored form. */
  readonly selectorFields: Readonly<Record<string, (object: KubeObject) => string>>;
  /** Strict decoding of a request's value. @throws StatusError; warnings go to `warn`. */
  readonly decode: (value: unknown, mode: FieldValidation, warn: (message: string) => void) => KubeObject;
  /** Undefined where only JSON and merge patches are taken. */
  readonly patchSchema: (() => PatchSchema) | undefined;
  readonly table: TablePrinter;
  /** Between the version in the store and this one; absent where they are the same. */
  readonly conversion?: { readonly toStored: Convert; readonly toServed: Convert };
}

export type Convert = (object: KubeObject) => KubeObject;
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface TableColumn {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

export interface TablePrinter {
  readonly columns: readonly TableColumn[];
  /** @param nowMs for ages */
  row(object: KubeObject, nowMs: number): readonly unknown[];
}

export class ResourceRegistry {
  readonly #served = new Map<string, ServedResource>();
  readonly #listeners = new Set<() => void>();
  #generation = 0;

  /** Grows with every change; what is derived from the registry is kept beside it. */
  get generation(): number {
    return this.#generation;
  }

  /** Replaces a resource of the same group, version and name. */
  add(...resources: readonly ServedResource[]): void {
    for (const served of resources) {
      const { group, version, resource } = served.resource;
      this.#served.set(`${group}/${version}/${resource}`, served);
    }
    this.#changed();
  }

  remove(group: string, version: string, resource: string): boolean {
    const removed = this.#served.delete(`${group}/${version}/${resource}`);
    if (removed) this.#changed();
    return removed;
  }

  find(group: string, version: string, resource: string): ServedResource | undefined {
    return this.#served.get(`${group}/${version}/${resource}`);
  }

  /** The first version of a kind's resource, for parts that know the group only. */
  findAny(group: string, resource: string): ServedResource | undefined {
    for (const served of this.#served.values())
      if (served.resource.group === group && served.resource.resource === resource) return served;
    return undefined;
  }

  findKind(group: string, version: string, kind: string): ServedResource | undefined {
    for (const served of this.#served.values()) {
      const { resource } = served;
      if (resource.kind === kind && resource.group === group && resource.version === version) return served;
    }
    return undefined;
  }

  hasGroupVersion(group: string, version: string): boolean {
    for (const { resource } of this.#served.values())
      if (resource.group === group && resource.version === version) return true;
    return false;
  }

  all(): ServedResource[] {
    return [...this.#served.values()];
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  #changed(): void {
    this.#generation++;
    for (const listener of this.#listeners) listener();
  }
}
