/** What a resource of the API is to those who serve, discover or walk it. Nouns only; the built-in ones stand in `resources.ts`. */
export interface Subresource {
  readonly name: string;
  /** Kind, and where it differs from the resource's own: group and version. */
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
}

export interface Resource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** The plural, as paths name it. */
  readonly resource: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly namespaced: boolean;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  /** In discovery's order. */
  readonly verbs: readonly string[];
  readonly subresources: readonly Subresource[];
  /** False for reviews and bindings, which are only ever created and never kept. */
  readonly stored: boolean;
  /** Folder under `/registry/`, as upstream names it: `pods`, `services/specs`, `minions`. */
  readonly storagePath: string;
  /** Where another group and version is what is stored: `group/version`, or `version` for the core group. */
  readonly storedAs?: { readonly group: string; readonly version: string };
}

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export function apiVersionOf({ group, version }: { readonly group: string; readonly version: string }): string {
  return group === '' ? version : `${group}/${version}`;
}
