/** Whether a node is one that a pod asks for: `nodeSelector`, node affinity terms, taints. Pure; upstream's component-helpers in duty. */
import type { Node, NodeSelectorTerm, Pod, Taint, Toleration } from '#kube-client/types/core.ts';
import { matches, type Operator, type Requirement, selectorOfMap } from '#kube-machinery/label-selector.ts';

/** A term without any requirement selects nothing. */
export function matchesTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, node: Node): boolean {
  if (matchExpressions.length === 0 && matchFields.length === 0) return false;
  return (
    matches(matchExpressions.map(requirement), node.metadata.labels ?? {}) &&
    matches(matchFields.map(requirement), { 'metadata.name': node.metadata.name })
  );
}

function requirement({
  key,
  operator,
  values = [],
}: {
  key: string;
  operator: string;
  values?: readonly string[];
}): Requirement {
  return { key, operator: operator as Operator, values };
}

export function matchesRequiredAffinity({ spec }: Pod, node: Node): boolean {
  if (spec.nodeSelector !== undefined && !matches(selectorOfMap(spec.nodeSelector), node.metadata.labels ?? {}))
    return false;
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return terms === undefined || terms.some((term) => matchesTerm(term, node));
}

export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect !== undefined && toleration.effect !== '' && toleration.effect !== taint.effect) return false;
  if (toleration.key !== undefined && toleration.key !== '' && toleration.key !== taint.key) return false;
  switch (toleration.operator ?? 'Equal') {
    case '':
    case 'Equal':
      return (toleration.value ?? '') === (taint.value ?? '');
    case 'Exists':
      return true;
    default:
      return false;
  }
}

export function untoleratedTaint({ spec }: Pod, node: Node, effects: readonly string[]): Taint | undefined {
  const { tolerations = [] } = spec;
  return node.spec?.taints?.find(
    (taint) => effects.includes(taint.effect) && !tolerations.some((toleration) => tolerates(toleration, taint)),
  );
}
