/** Flow schemas and priority levels. Source: pkg/apis/flowcontrol/validation. */
import { type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { dns1123LabelProblems, dns1123SubdomainProblems } from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, type Fields, list, record, text, words } from './fields.ts';

const precedenceMax = 10_000;
const queuesMax = 10_000_000;
/** What a shuffle shard may be chosen by: bits of the hash of a flow. */
const hashBits = 60;
const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'proxy', 'update', 'watch'];

export function validateFlowSchema(schema: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(schema['spec']) ?? {};
  const precedence = (spec['matchingPrecedence'] ?? 0) as number;
  const at = 'spec.matchingPrecedence';
  if (precedence <= 0) errors.push(invalid(at, precedence, 'must be a positive value'));
  if (precedence > precedenceMax) errors.push(invalid(at, precedence, `must not be greater than ${precedenceMax}`));
  if (precedence === 1 && schema.metadata.name !== 'exempt')
    errors.push(invalid(at, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"));
  const method = record(spec['distinguisherMethod']);
  if (method !== undefined && !['ByNamespace', 'ByUser'].includes(text(method['type'])))
    errors.push(
      notSupported('spec.distinguisherMethod.type', { Type: text(method['type']) }, ['ByNamespace', 'ByUser']),
    );
  const level = text(record(spec['priorityLevelConfiguration'])?.['name']);
  const here = 'spec.priorityLevelConfiguration.name';
  if (level === '') errors.push(required(here, 'must reference a priority level'));
  else check(errors, here, level, dns1123SubdomainProblems);
  for (const [index, rule] of list(spec['rules']).entries()) validateRules(errors, `spec.rules[${index}]`, rule);
  return errors;
}

function validateRules(errors: FieldError[], at: string, rules: Fields): void {
  const subjects = list(rules['subjects']);
  if (subjects.length === 0) errors.push(required(`${at}.subjects`, 'subjects must contain at least one value'));
  for (const [index, subject] of subjects.entries()) validateSubject(errors, `${at}.subjects[${index}]`, subject);
  const onResources = list(rules['resourceRules']);
  const onPaths = list(rules['nonResourceRules']);
  if (onResources.length === 0 && onPaths.length === 0)
    errors.push(required(at, 'at least one of resourceRules and nonResourceRules has to be non-empty'));
  for (const [index, rule] of onResources.entries())
    validateResourceRule(errors, `${at}.resourceRules[${index}]`, rule);
  for (const [index, rule] of onPaths.entries()) validatePathRule(errors, `${at}.nonResourceRules[${index}]`, rule);
}

const subjectFields: Readonly<Record<string, string>> = {
  ServiceAccount: 'serviceAccount',
  User: 'user',
  Group: 'group',
};

function validateSubject(errors: FieldError[], at: string, subject: Fields): void {
  const kind = text(subject['kind']);
  const own = subjectFields[kind];
  if (own === undefined) {
    errors.push(notSupported(`${at}.kind`, kind, ['Group', 'ServiceAccount', 'User']));
    return;
  }
  const value = record(subject[own]);
  const here = `${at}.${own}`;
  if (value === undefined) errors.push(required(here, `${own} is required when subject kind is '${kind}'`));
  else {
    const name = text(value['name']);
    if (name === '') errors.push(required(`${here}.name`));
    else if (kind === 'ServiceAccount' && name !== '*') check(errors, `${here}.name`, name, dns1123SubdomainProblems);
    const namespace = text(value['namespace']);
    if (kind === 'ServiceAccount') {
      if (namespace !== '') check(errors, `${here}.namespace`, namespace, dns1123LabelProblems);
      else errors.push(required(`${here}.namespace`, 'must specify namespace for service account'));
    }
  }
  for (const [other, field] of Object.entries(subjectFields).sort(
    ([, a], [, b]) => order.indexOf(a) - order.indexOf(b),
  ))
    if (other !== kind && subject[field] !== undefined)
      errors.push(forbidden(`${at}.${field}`, `${field} is forbidden when subject kind is not '${other}'`));
}

/** In which upstream looks for what does not belong. */
const order = ['serviceAccount', 'user', 'group'];

function validateVerbs(errors: FieldError[], at: string, given: readonly string[]): void {
  if (given.length === 0) errors.push(required(at, 'verbs must contain at least one value'));
  else if (given.includes('*')) {
    if (given.length > 1) errors.push(invalid(at, given, "if '*' is present, must not specify other verbs"));
  } else if (!given.every((verb) => verbs.includes(verb))) errors.push(notSupported(at, given, verbs));
}

function validateResourceRule(errors: FieldError[], at: string, rule: Fields): void {
  validateVerbs(errors, `${at}.verbs`, words(rule['verbs']));
  for (const [field, missing, what] of [
    ['apiGroups', 'api group', 'api groups'],
    ['resources', 'resource', 'resources'],
  ] as const) {
    const values = words(rule[field]);
    if (values.length === 0)
      errors.push(required(`${at}.${field}`, `resource rules must supply at least one ${missing}`));
    else if (values.length > 1 && values.includes('*'))
      errors.push(invalid(`${at}.${field}`, values, `if '*' is present, must not specify other ${what}`));
  }
  const namespaces = words(rule['namespaces']);
  const here = `${at}.namespaces`;
  if (namespaces.length === 0 && rule['clusterScope'] !== true)
    errors.push(required(here, 'resource rules that are not cluster scoped must supply at least one namespace'));
  else if (namespaces.includes('*')) {
    if (namespaces.length > 1)
      errors.push(invalid(here, namespaces, "if '*' is present, must not specify other namespaces"));
  } else
    for (const [index, namespace] of namespaces.entries())
      for (const problem of dns1123LabelProblems(namespace))
        errors.push(
          invalid(
            `${here}[${index}]`,
            namespace,
            `each member of this list must be '*' or a DNS-1123 label; ${problem}`,
          ),
        );
}

function validatePathRule(errors: FieldError[], at: string, rule: Fields): void {
  validateVerbs(errors, `${at}.verbs`, words(rule['verbs']));
  const paths = words(rule['nonResourceURLs']);
  const here = `${at}.nonResourceURLs`;
  if (paths.length === 0) errors.push(required(here, 'nonResourceURLs must contain at least one value'));
  else if (paths.includes('*')) {
    if (paths.length > 1)
      errors.push(invalid(here, paths, "if '*' is present, must not specify other non-resource URLs"));
  } else
    for (const [index, path] of paths.entries()) {
      const problem = pathProblem(path);
      if (problem !== undefined) errors.push(invalid(`${here}[${index}]`, path, problem));
    }
}

function pathProblem(path: string): string | undefined {
  if (path === '') return 'must not be empty';
  if (path === '/') return undefined;
  if (!path.startsWith('/')) return 'must start with slash';
  if (path.includes(' ')) return 'must not contain white-space';
  if (path.includes('//')) return 'must not contain double slash';
  const stars = path.split('*').length - 1;
  return stars > 1 || (stars === 1 && !path.endsWith('/*')) ? 'wildcard can only do suffix matching' : undefined;
}

export function validatePriorityLevel(level: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(level['spec']) ?? {};
  const type = text(spec['type']);
  const { name } = level.metadata;
  const limited = record(spec['limited']);
  if ((name === 'exempt') !== (type === 'Exempt'))
    errors.push(invalid('spec.type', type, "type must be 'Exempt' if and only if name is 'exempt'"));
  switch (type) {
    case 'Exempt':
      if (limited !== undefined) errors.push(forbidden('spec.limited', 'must be nil if the type is not Limited'));
      validateShares(errors, 'spec.exempt', record(spec['exempt']) ?? {});
      break;
    case 'Limited':
      if (spec['exempt'] !== undefined) errors.push(forbidden('spec.exempt', 'must be nil if the type is not Exempt'));
      if (limited === undefined) errors.push(required('spec.limited', 'must not be empty when type is Limited'));
      else validateLimited(errors, 'spec.limited', limited);
      break;
    default:
      errors.push(notSupported('spec.type', type, ['Exempt', 'Limited']));
  }
  return errors;
}

function validateShares(errors: FieldError[], at: string, values: Fields): void {
  const shares = values['nominalConcurrencyShares'] as number | undefined;
  if (shares !== undefined && shares < 0)
    errors.push(invalid(`${at}.nominalConcurrencyShares`, shares, 'must be a non-negative integer'));
  const lendable = values['lendablePercent'] as number | undefined;
  if (lendable !== undefined && (lendable < 0 || lendable > 100))
    errors.push(invalid(`${at}.lendablePercent`, lendable, 'must be between 0 and 100, inclusive'));
}

function validateLimited(errors: FieldError[], at: string, limited: Fields): void {
  validateShares(errors, at, limited);
  const response = record(limited['limitResponse']) ?? {};
  const here = `${at}.limitResponse`;
  const queuing = record(response['queuing']);
  switch (response['type']) {
    case 'Reject':
      if (queuing !== undefined)
        errors.push(forbidden(`${here}.queuing`, 'must be nil if limited.limitResponse.type is not Limited'));
      break;
    case 'Queue':
      if (queuing === undefined)
        errors.push(required(`${here}.queuing`, 'must not be empty if limited.limitResponse.type is Limited'));
      else validateQueuing(errors, `${here}.queuing`, queuing);
      break;
    default:
      errors.push(notSupported(`${here}.type`, text(response['type']), ['Queue', 'Reject']));
  }
  const borrowing = limited['borrowingLimitPercent'] as number | undefined;
  if (borrowing !== undefined && borrowing < 0)
    errors.push(invalid(`${at}.borrowingLimitPercent`, borrowing, 'if specified, must be a non-negative integer'));
}

function validateQueuing(errors: FieldError[], at: string, queuing: Fields): void {
  const number = (field: string) => (queuing[field] ?? 0) as number;
  const refuse = (field: string, detail: string) => errors.push(invalid(`${at}.${field}`, number(field), detail));
  const [queues, hand] = [number('queues'), number('handSize')];
  if (number('queueLengthLimit') <= 0) refuse('queueLengthLimit', 'must be positive');
  if (queues <= 0) refuse('queues', 'must be positive');
  else if (queues > queuesMax) refuse('queues', `must not be greater than ${queuesMax}`);
  if (hand <= 0) refuse('handSize', 'must be positive');
  else if (hand > queues) refuse('handSize', `should not be greater than queues (${queues})`);
  else {
    let bits = 0;
    for (let i = 0; i < hand; i++) bits += Math.log2(queues - i);
    if (Math.ceil(bits) > hashBits)
      refuse(
        'handSize',
        `required entropy bits of deckSize ${queues} and handSize ${hand} should not be greater than ${hashBits}`,
      );
  }
}
