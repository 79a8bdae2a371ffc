/** Events: kept for an hour. Source: --event-ttl of kube-apiserver. */
import type { Strategy } from '../strategy.ts';

export const eventTtlSeconds = 3600;

export function eventStrategy(generic: Strategy): Strategy {
  return { ...generic, ttlSeconds: eventTtlSeconds };
}
