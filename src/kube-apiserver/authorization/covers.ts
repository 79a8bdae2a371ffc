/**
 * Does one set of rules allow everything that another does? What is missing is told rule by rule. Knows neither users nor bindings.
 * Source: Covers of k8s.io/component-helpers/auth/rbac/validation.
 */
import type { PolicyRule } from './rbac.ts';

/** What `owned` does not allow of `wanted`, in rules of one verb on one thing; empty when all of it is covered. */
export function missingRules(owned: readonly PolicyRule[], wanted: readonly PolicyRule[]): readonly PolicyRule[] {
  return wanted.flatMap(singles).filter((single) => !owned.some((rule) => covers(rule, single)));
}

/** A rule in parts that are each covered by one rule or by none. */
function singles(rule: PolicyRule): readonly PolicyRule[] {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const parts: PolicyRule[] = [];
  for (const group of apiGroups)
    for (const resource of resources)
      for (const verb of verbs) {
        const single = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (resourceNames.length === 0) parts.push(single);
        for (const name of resourceNames) parts.push({ ...single, resourceNames: [name] });
      }
  for (const url of nonResourceURLs) for (const verb of verbs) parts.push({ verbs: [verb], nonResourceURLs: [url] });
  return parts;
}

function covers(
  owned: PolicyRule,
  { verbs, apiGroups, resources, resourceNames, nonResourceURLs }: PolicyRule,
): boolean {
  if (!hasAll(owned.verbs, verbs)) return false;
  if (nonResourceURLs !== undefined)
    return nonResourceURLs.every((url) => (owned.nonResourceURLs ?? []).some((pattern) => coversPath(pattern, url)));
  const ownedNames = owned.resourceNames ?? [];
  return (
    hasAll(owned.apiGroups, apiGroups ?? []) &&
    (resources ?? []).every((resource) => coversResource(owned.resources ?? [], resource)) &&
    // Rules for some names never cover a rule for all.
    (ownedNames.length === 0 || resourceNames?.every((name) => ownedNames.includes(name)) === true)
  );
}

function hasAll(owned: readonly string[] | undefined, wanted: readonly string[]): boolean {
  return owned !== undefined && (owned.includes('*') || wanted.every((value) => owned.includes(value)));
}

function coversResource(owned: readonly string[], resource: string): boolean {
  if (owned.includes('*') || owned.includes(resource)) return true;
  const slash = resource.indexOf('/');
  return slash !== -1 && owned.includes(`*${resource.slice(slash)}`);
}

function coversPath(pattern: string, path: string): boolean {
  return pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1)));
}

/** Rules of one verb each as messages list them: joined where only the verb differs, one a line, sorted. */
export function describeRules(rules: readonly PolicyRule[]): string {
  const joined = new Map<string, PolicyRule>();
  for (const rule of rules) {
    // Upstream joins rules on resources only.
    const key = JSON.stringify(
      rule.nonResourceURLs === undefined ? [rule.apiGroups, rule.resources, rule.resourceNames] : rule,
    );
    const before = joined.get(key);
    if (before === undefined) joined.set(key, rule);
    else joined.set(key, { ...before, verbs: [...new Set([...before.verbs, ...rule.verbs])] });
  }
  return [...new Set([...joined.values()].map(describe))].sort().join('\n');
}

function describe({ apiGroups, resources, nonResourceURLs, resourceNames, verbs }: PolicyRule): string {
  const parts = Object.entries({
    APIGroups: apiGroups,
    Resources: resources,
    NonResourceURLs: nonResourceURLs,
    ResourceNames: resourceNames,
    Verbs: verbs,
  });
  const text = parts.flatMap(([name, list]) =>
    list === undefined || list.length === 0 ? [] : [`${name}:${quoted(list)}`],
  );
  return `{${text.join(', ')}}`;
}

/** A list as Go's `%q` prints it. */
export function quoted(list: readonly string[]): string {
  return `[${list.map((value) => JSON.stringify(value)).join(' ')}]`;
}
