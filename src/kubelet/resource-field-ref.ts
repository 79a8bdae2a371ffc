/** A container's limits and requests as numbers, for variables and downward API files. Pure. */
import { parseQuantity } from '#kube-machinery/quantity.ts';
import type { Container, Pod, ResourceFieldReference } from './pod.ts';

/**
 * The amount divided by the divisor, rounded up; a limit that is not set is the node's allocatable amount.
 * @returns undefined for a resource the downward API does not serve
 */
export function resourceValue(
  pod: Pod,
  reference: ResourceFieldReference,
  own: Container,
  allocatable: Readonly<Record<string, string>>,
): string | undefined {
  const match = /^(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)$/.exec(reference.resource);
  if (match === null) return undefined;
  const [, list, name] = match as unknown as [string, 'limits' | 'requests', string];
  const container =
    reference.containerName === undefined || reference.containerName === ''
      ? own
      : [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find(
          (entry) => entry.name === reference.containerName,
        );
  if (container === undefined) return undefined;
  const amount = container.resources?.[list]?.[name] ?? (list === 'limits' ? allocatable[name] : undefined) ?? '0';
  const divisor = reference.divisor === undefined || reference.divisor === '0' ? '1' : reference.divisor;
  return ceilDivide(milli(amount), milli(divisor)).toString();
}

/** Thousandths. */
export function milli(quantity: string): bigint {
  return parseQuantity(quantity).scaled(-3);
}

function ceilDivide(value: bigint, by: bigint): bigint {
  return by === 0n ? 0n : (value + by - 1n) / by;
}
