/** Affinity terms between pods, parsed once a pod. Pure. */
import type { Pod, PodAffinityTerm } from '#kube-client/types/core.ts';
import { type Labels, matches, type Selector, selectorOf } from '#kube-machinery/label-selector.ts';

export interface AffinityTerm {
  readonly topologyKey: string;
  /** Undefined matches nothing. */
  readonly selector: Selector | undefined;
  readonly namespaces: ReadonlySet<string>;
  readonly namespaceSelector: Selector | undefined;
}

export interface WeightedTerm {
  readonly weight: number;
  readonly term: AffinityTerm;
}

export interface PodAffinityTerms {
  readonly required: readonly AffinityTerm[];
  readonly requiredAnti: readonly AffinityTerm[];
  readonly preferred: readonly WeightedTerm[];
  readonly preferredAnti: readonly WeightedTerm[];
}

/** Undefined for a pod that does not care about others. */
export function affinityTerms({ spec, metadata }: Pod): PodAffinityTerms | undefined {
  const { podAffinity, podAntiAffinity } = spec.affinity ?? {};
  if (podAffinity === undefined && podAntiAffinity === undefined) return undefined;
  const own = metadata.namespace ?? '';
  const parse = (term: PodAffinityTerm) => parseTerm(term, own);
  const weighted = (terms: typeof podAffinity) =>
    (terms?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ weight, podAffinityTerm }) => ({
      weight,
      term: parse(podAffinityTerm),
    }));
  return {
    required: (podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map(parse),
    requiredAnti: (podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map(parse),
    preferred: weighted(podAffinity),
    preferredAnti: weighted(podAntiAffinity),
  };
}

function parseTerm(
  { topologyKey, labelSelector, namespaces = [], namespaceSelector }: PodAffinityTerm,
  own: string,
): AffinityTerm {
  // Neither names nor a selector: the pod's own namespace.
  const names = namespaces.length === 0 && namespaceSelector === undefined ? [own] : namespaces;
  return {
    topologyKey,
    selector: selectorOf(labelSelector),
    namespaces: new Set(names),
    namespaceSelector: selectorOf(namespaceSelector),
  };
}

/** @param namespaceLabels of the pod's namespace */
export function termMatches(term: AffinityTerm, { metadata }: Pod, namespaceLabels: Labels | undefined): boolean {
  if (term.selector === undefined || !matches(term.selector, metadata.labels ?? {})) return false;
  return (
    term.namespaces.has(metadata.namespace ?? '') ||
    (term.namespaceSelector !== undefined && matches(term.namespaceSelector, namespaceLabels ?? {}))
  );
}
