/** Several authorizers, asked in turn: the first that allows decides; if none does, all that gave a reason are told. Source: authorization/union of k8s.io/apiserver. */
import type { Authorizer } from '../attributes.ts';

export function firstOf(authorizers: readonly Authorizer[]): Authorizer {
  return (attributes) => {
    const reasons: string[] = [];
    for (const authorize of authorizers) {
      const decision = authorize(attributes);
      if (decision.allowed) return decision;
      if (decision.reason !== '') reasons.push(decision.reason);
    }
    return { allowed: false, reason: reasons.join('\n') };
  };
}
