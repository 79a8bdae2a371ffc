/** Configurations of admission webhooks, and the rules that policies share with them. Source: pkg/apis/admissionregistration/validation. */
import { duplicate, type FieldError, invalid, notSupported, required, tooMany } from '#kube-machinery/field-error.ts';
import {
  dns1035LabelProblems,
  dns1123SubdomainProblems,
  portNumberProblems,
  qualifiedNameProblems,
} from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, type Fields, list, record, text, words } from './fields.ts';
import { validateLabelSelector } from './label-selector.ts';

export const failurePolicies = ['Fail', 'Ignore'];
export const matchPolicies = ['Equivalent', 'Exact'];
const sideEffects = ['None', 'NoneOnDryRun'];
const operations = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const reviewVersions = ['v1', 'v1beta1'];
const matchConditionsMax = 64;

export function validateWebhookConfiguration(configuration: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, webhook] of list(configuration['webhooks']).entries()) {
    const at = `webhooks[${index}]`;
    validateWebhook(errors, at, webhook);
    validateReviewVersions(errors, `${at}.admissionReviewVersions`, words(webhook['admissionReviewVersions']));
    const name = text(webhook['name']);
    if (name !== '' && names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
  }
  return errors;
}

function validateWebhook(errors: FieldError[], at: string, webhook: Fields): void {
  const name = text(webhook['name']);
  const problems = dns1123SubdomainProblems(name);
  if (name === '') errors.push(required(`${at}.name`));
  else if (problems.length > 0) errors.push(invalid(`${at}.name`, name, problems.join(',')));
  else if (name.split('.').length < 3)
    errors.push(invalid(`${at}.name`, name, 'should be a domain with at least three segments separated by dots'));
  for (const [index, rule] of list(webhook['rules']).entries()) validateRule(errors, `${at}.rules[${index}]`, rule);
  optional(errors, `${at}.failurePolicy`, webhook['failurePolicy'], failurePolicies);
  optional(errors, `${at}.matchPolicy`, webhook['matchPolicy'], matchPolicies);
  const effects = webhook['sideEffects'];
  if (effects === undefined)
    errors.push(required(`${at}.sideEffects`, `must specify one of ${sideEffects.join(', ')}`));
  else optional(errors, `${at}.sideEffects`, effects, sideEffects);
  const timeout = webhook['timeoutSeconds'] as number | undefined;
  if (timeout !== undefined && (timeout > 30 || timeout < 1))
    errors.push(invalid(`${at}.timeoutSeconds`, timeout, 'the timeout value must be between 1 and 30 seconds'));
  for (const field of ['namespaceSelector', 'objectSelector']) {
    const selector = record(webhook[field]);
    if (selector !== undefined) validateLabelSelector(selector, `${at}.${field}`, errors);
  }
  optional(errors, `${at}.reinvocationPolicy`, webhook['reinvocationPolicy'], ['IfNeeded', 'Never']);
  const client = record(webhook['clientConfig']) ?? {};
  const service = record(client['service']);
  const url = client['url'] as string | undefined;
  if ((url === undefined) === (service === undefined))
    errors.push(required(`${at}.clientConfig`, 'exactly one of url or service is required'));
  else if (url !== undefined) validateWebhookUrl(errors, `${at}.clientConfig.url`, url);
  else validateWebhookService(errors, `${at}.clientConfig.service`, service!);
  validateMatchConditions(errors, `${at}.matchConditions`, list(webhook['matchConditions']));
}

function optional(errors: FieldError[], at: string, value: unknown, choices: readonly string[]): void {
  if (value !== undefined && !choices.includes(value as string)) errors.push(notSupported(at, value, choices));
}

const urlForm = 'desired format: https://host[/path]';

export function validateWebhookUrl(errors: FieldError[], at: string, url: string): void {
  const match =
    /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/(?:([^@/?#]*)@)?([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(url);
  const [, scheme = '', user, host = '', , query = '', fragment = ''] = match!;
  if (scheme.toLowerCase() !== 'https')
    errors.push(invalid(at, scheme, `'https' is the only allowed URL scheme; ${urlForm}`));
  if (host === '') errors.push(invalid(at, host, `host must be specified; ${urlForm}`));
  if (user !== undefined) errors.push(invalid(at, user, 'user information is not permitted in the URL'));
  if (fragment !== '') errors.push(invalid(at, fragment, 'fragments are not permitted in the URL'));
  if (query !== '') errors.push(invalid(at, query, 'query parameters are not permitted in the URL'));
}

export function validateWebhookService(errors: FieldError[], at: string, service: Fields): void {
  if (text(service['name']) === '') errors.push(required(`${at}.name`, 'service name is required'));
  if (text(service['namespace']) === '') errors.push(required(`${at}.namespace`, 'service namespace is required'));
  const port = (service['port'] ?? 443) as number;
  const problems = portNumberProblems(port);
  if (problems.length > 0) errors.push(invalid(`${at}.port`, port, `port is not valid: ${problems.join(',')}`));
  const path = service['path'] as string | undefined;
  if (path === undefined || path === '/' || path === '') return;
  const here = `${at}.path`;
  if (!path.startsWith('/')) {
    errors.push(invalid(here, path, "must start with a '/'"));
    return;
  }
  const steps = path.slice(1).replace(/\/$/, '').split('/');
  for (const [index, step] of steps.entries()) {
    if (step === '') errors.push(invalid(here, path, `segment[${index}] may not be empty`));
    else
      for (const problem of dns1123SubdomainProblems(step))
        errors.push(invalid(here, path, `segment[${index}]: ${problem}`));
  }
}

function validateReviewVersions(errors: FieldError[], at: string, versions: readonly string[]): void {
  if (versions.length === 0) {
    errors.push(required(at, `must specify one of ${reviewVersions.join(', ')}`));
    return;
  }
  const seen = new Set<string>();
  for (const [index, version] of versions.entries()) {
    if (seen.has(version)) errors.push(invalid(`${at}[${index}]`, version, 'duplicate version'));
    else check(errors, `${at}[${index}]`, version, dns1035LabelProblems);
    seen.add(version);
  }
  if (!versions.some((version) => reviewVersions.includes(version)))
    errors.push(invalid(at, versions, `must include at least one of ${reviewVersions.join(', ')}`));
}

/** A rule of a webhook or of a policy: operations on resources. */
export function validateRule(errors: FieldError[], at: string, rule: Fields): void {
  const done = words(rule['operations']);
  if (done.length === 0) errors.push(required(`${at}.operations`));
  if (done.length > 1 && done.includes('*'))
    errors.push(invalid(`${at}.operations`, done, "if '*' is present, must not specify other operations"));
  for (const [index, operation] of done.entries())
    optional(errors, `${at}.operations[${index}]`, operation, operations);
  for (const [field, what] of [
    ['apiGroups', 'API groups'],
    ['apiVersions', 'API versions'],
  ] as const) {
    const values = words(rule[field]);
    if (values.length === 0) errors.push(required(`${at}.${field}`));
    if (values.length > 1 && values.includes('*'))
      errors.push(invalid(`${at}.${field}`, values, `if '*' is present, must not specify other ${what}`));
  }
  for (const [index, version] of words(rule['apiVersions']).entries())
    if (version === '') errors.push(required(`${at}.apiVersions[${index}]`));
  validateResources(errors, `${at}.resources`, words(rule['resources']));
  optional(errors, `${at}.scope`, rule['scope'], ['*', 'Cluster', 'Namespaced']);
}

function validateResources(errors: FieldError[], at: string, resources: readonly string[]): void {
  if (resources.length === 0) errors.push(required(at));
  const allSubresourcesOf = new Set<string>();
  const ofAllResources = new Set<string>();
  for (const [index, resource] of resources.entries()) {
    const here = `${at}[${index}]`;
    if (resource === '') {
      errors.push(required(here));
      continue;
    }
    const slash = resource.indexOf('/');
    if (slash === -1) continue;
    const [parent, sub] = [resource.slice(0, slash), resource.slice(slash + 1)];
    if (allSubresourcesOf.has(parent))
      errors.push(invalid(here, resource, `if '${parent}/*' is present, must not specify ${resource}`));
    if (ofAllResources.has(sub))
      errors.push(invalid(here, resource, `if '*/${sub}' is present, must not specify ${resource}`));
    if (sub === '*') allSubresourcesOf.add(parent);
    if (parent === '*') ofAllResources.add(sub);
  }
  if (resources.length > 1 && resources.includes('*/*'))
    errors.push(invalid(at, resources, "if '*/*' is present, must not specify other resources"));
  if (
    resources.includes('*') &&
    resources.some((resource) => resource !== '*' && resource !== '' && !resource.includes('/'))
  )
    errors.push(invalid(at, resources, "if '*' is present, must not specify other resources without subresources"));
}

/** Names and presence; whether an expression compiles is not asked here. */
export function validateMatchConditions(errors: FieldError[], at: string, conditions: readonly Fields[]): void {
  if (conditions.length > matchConditionsMax) errors.push(tooMany(at, conditions.length, matchConditionsMax));
  const names = new Set<string>();
  for (const [index, condition] of conditions.entries()) {
    const here = `${at}[${index}]`;
    const name = text(condition['name']);
    if (text(condition['expression']).trim() === '') errors.push(required(`${here}.expression`));
    if (name === '') errors.push(required(`${here}.name`));
    else check(errors, `${here}.name`, name, qualifiedNameProblems);
    if (name !== '' && names.has(name)) errors.push(duplicate(`${here}.name`, name));
    names.add(name);
  }
}
