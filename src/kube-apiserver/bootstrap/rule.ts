/** Short forms for rules of roles, so that the policy reads as a table. */
import type { PolicyRule } from '../authorization/rbac.ts';

/** Words separated by spaces; `core` is the group without a name. */
export function rule(verbs: string, groups: string, resources: string, resourceNames?: string): PolicyRule {
  return {
    verbs: verbs.split(' '),
    apiGroups: groups.split(' ').map((group) => (group === 'core' ? '' : group)),
    resources: resources.split(' '),
    ...(resourceNames !== undefined && { resourceNames: resourceNames.split(' ') }),
  };
}

export function paths(urls: string, verbs = 'get'): PolicyRule {
  return { verbs: verbs.split(' '), nonResourceURLs: urls.split(' ') };
}

export const read = 'get list watch';
export const write = 'create delete deletecollection patch update';
export const readWrite = `${read} ${write}`;
/** Everything but the collection as a whole. */
export const all = 'create delete get list patch update watch';

/** Whoever records events, in both groups. */
export const events = rule('create patch update', 'core events.k8s.io', 'events');
