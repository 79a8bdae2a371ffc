/**
 * Signing requests: the spec is written once, with the user who asks in it; the decision has a path of its own, and so has the certificate.
 * Source: pkg/registry/certificates/certificates.
 */
import type { Resource } from '#api-kube/resource.ts';
import type { KubeObject } from '../object.ts';
import type { Strategy } from '../strategy.ts';
import type { UserInfo } from '../user.ts';
import { validateSigningApproval, validateSigningStatus } from '../validation/signing-status.ts';
import { withStatusOf } from './generic.ts';

interface Condition {
  readonly type?: string;
  readonly status?: string;
  readonly lastUpdateTime?: string;
  readonly lastTransitionTime?: string;
}

interface Status {
  readonly conditions?: readonly Condition[];
  readonly certificate?: string;
}

const statusOf = (csr: KubeObject) => (csr['status'] ?? {}) as Status;

export function signingRequestStrategy(generic: Strategy, resource: Resource): Strategy {
  return {
    ...generic,
    prepareCreate: (csr, { user }) => ({ ...csr, spec: askedBy(user, csr['spec'] ?? {}), status: {} }),
    prepareUpdate: (csr, old) => ({ ...withStatusOf(csr, old), spec: old['spec'] }),
    prepareStatusUpdate(csr, old, writer) {
      const { conditions, ...status } = statusOf(csr);
      const before = statusOf(old).conditions ?? [];
      const kept = conditions && withTimes(withDecisionOf(conditions, before), before, writer.now);
      const prepared = generic.prepareStatusUpdate(csr, old, writer);
      return { ...prepared, status: { ...status, ...(kept && { conditions: kept }) } };
    },
    validateStatusUpdate: (csr, old) => validateSigningStatus(resource, csr, old),
    approval: {
      prepare(csr, old, { now }) {
        const { conditions } = statusOf(csr);
        const { conditions: before = [], ...status } = statusOf(old);
        const timed = conditions && withTimes(conditions, before, now);
        return { ...csr, spec: old['spec'], status: { ...status, ...(timed && { conditions: timed }) } };
      },
      validate: (csr, old) => validateSigningApproval(resource, csr, old),
    },
  };
}

/** Approvers go by these fields: they are the server's word, whatever the request says. */
function askedBy({ name, uid, groups, extra = {} }: UserInfo, given: object): object {
  const { username: _n, uid: _u, groups: _g, extra: _e, ...spec } = given as Readonly<Record<string, unknown>>;
  return {
    ...spec,
    ...(name !== '' && { username: name }),
    ...(uid && { uid }),
    ...(groups.length > 0 && { groups }),
    ...(Object.keys(extra).length > 0 && { extra }),
  };
}

/** Whoever signs leaves the decision as it was. Where one was added or taken away nothing is mended: validation refuses that. */
function withDecisionOf(conditions: readonly Condition[], before: readonly Condition[]): readonly Condition[] {
  let kept = conditions;
  for (const type of ['Approved', 'Denied']) {
    const old = before.filter((condition) => condition.type === type);
    if (old.length !== kept.filter((condition) => condition.type === type).length) continue;
    let next = 0;
    kept = kept.map((condition) => (condition.type === type ? old[next++]! : condition));
  }
  return kept;
}

/** Fills the times that were left out; a condition that stays as it was keeps the time since when. */
function withTimes(conditions: readonly Condition[], before: readonly Condition[], now: string): readonly Condition[] {
  return conditions.map((condition) => {
    const since = before.find(
      ({ type, status, lastTransitionTime }) =>
        type === condition.type && status === condition.status && lastTransitionTime !== undefined,
    );
    return {
      ...condition,
      lastUpdateTime: condition.lastUpdateTime ?? now,
      lastTransitionTime: condition.lastTransitionTime ?? since?.lastTransitionTime ?? now,
    };
  });
}
