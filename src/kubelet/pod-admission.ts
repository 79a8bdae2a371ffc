/** Does a pod that was sent here fit here? Upstream's last look (lifecycle predicates), with its reasons and messages. Pure. */
import { quantityOrZero } from '#kube-machinery/quantity.ts';
import { type Container, isSidecar, type Pod } from './pod.ts';

const counted = ['cpu', 'memory', 'ephemeral-storage'] as const;

export function refusal(
  pod: Pod,
  others: readonly Pod[],
  allocatable: Readonly<Record<string, string>>,
): { readonly reason: string; readonly message: string } | undefined {
  const podsMax = Number(allocatable['pods'] ?? Number.POSITIVE_INFINITY);
  if (others.length + 1 > podsMax)
    return {
      reason: 'OutOfpods',
      message: `Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: ${others.length}, capacity: ${podsMax}`,
    };
  for (const name of counted) {
    const wanted = requestOf(pod, name);
    if (wanted === 0n) continue;
    const used = others.reduce((sum, other) => sum + requestOf(other, name), 0n);
    const capacity = unit(allocatable[name], name);
    if (used + wanted > capacity)
      return {
        reason: `OutOf${name}`,
        message: `Pod was rejected: Node didn't have enough resource: ${name}, requested: ${wanted}, used: ${used}, capacity: ${capacity}`,
      };
  }
  return undefined;
}

/**
 * In thousandths for cpu, in bytes for the others. Main containers run together with all sidecars; an init container runs with the sidecars
 * before it (KEP-753); the larger of the two counts.
 */
function requestOf({ spec }: Pod, name: (typeof counted)[number]): bigint {
  const of = ({ resources }: Container) => unit(resources?.requests?.[name] ?? resources?.limits?.[name], name);
  let sidecars = 0n;
  let most = 0n;
  for (const container of spec.initContainers ?? []) {
    const wanted = sidecars + of(container);
    if (isSidecar(container)) sidecars = wanted;
    if (wanted > most) most = wanted;
  }
  const together = spec.containers.reduce((sum, container) => sum + of(container), sidecars);
  return together > most ? together : most;
}

function unit(quantity: string | undefined, name: string): bigint {
  return quantityOrZero(quantity).scaled(name === 'cpu' ? -3 : 0);
}
