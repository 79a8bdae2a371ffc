/** Admission policies and their bindings: all but whether their expressions compile. Source: pkg/apis/admissionregistration/validation. */
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import {
  dns1035LabelProblems,
  dns1123SubdomainProblems,
  pathSegmentProblems,
  qualifiedNameProblems,
} from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { check, type Fields, list, record, text, words } from './fields.ts';
import { validateLabelSelector } from './label-selector.ts';
import { failurePolicies, matchPolicies, validateMatchConditions, validateRule } from './webhooks.ts';

const auditAnnotationsMax = 20;
const valueExpressionBytesMax = 5 * 1024;
const reasons = ['Forbidden', 'Invalid', 'RequestEntityTooLarge'];

export function validateValidatingPolicy(policy: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(policy['spec']) ?? {};
  validateFrame(errors, spec);
  const validations = list(spec['validations']);
  const annotations = list(spec['auditAnnotations']);
  if (validations.length === 0 && annotations.length === 0) {
    const detail = 'validations or auditAnnotations must contain at least one item';
    errors.push(required('spec.validations', detail), required('spec.auditAnnotations', detail));
    return errors;
  }
  for (const [index, validation] of validations.entries())
    validateValidation(errors, `spec.validations[${index}]`, validation);
  if (annotations.length > auditAnnotationsMax)
    errors.push(
      invalid('spec.auditAnnotations', annotations, `must not have more than ${auditAnnotationsMax} auditAnnotations`),
    );
  const keys = new Set<string>();
  for (const [index, annotation] of annotations.entries()) {
    const at = `spec.auditAnnotations[${index}]`;
    const key = text(annotation['key']);
    const { name = '' } = policy.metadata;
    if (name === '') errors.push(invalid(`${at}.key`, key, 'requires metadata.name be non-empty'));
    else check(errors, `${at}.key`, `${name}/${key}`, qualifiedNameProblems);
    const expression = text(annotation['valueExpression']).trim();
    if (expression === '') errors.push(required(`${at}.valueExpression`, 'valueExpression is not specified'));
    else if (Buffer.byteLength(expression) > valueExpressionBytesMax)
      errors.push(required(`${at}.valueExpression`, `must not exceed ${valueExpressionBytesMax} bytes in length`));
    if (keys.has(key)) errors.push(duplicate(`${at}.key`, key));
    keys.add(key);
  }
  return errors;
}

function validateValidation(errors: FieldError[], at: string, validation: Fields): void {
  if (text(validation['expression']).trim() === '')
    errors.push(required(`${at}.expression`, 'expression is not specified'));
  const messageExpression = text(validation['messageExpression']);
  if (messageExpression !== '' && messageExpression.trim() === '')
    errors.push(invalid(`${at}.messageExpression`, messageExpression, 'must be non-empty if specified'));
  const message = text(validation['message']);
  if (message !== '' && message.trim() === '')
    errors.push(invalid(`${at}.message`, message, 'message must be non-empty if specified'));
  else if (/[\n\r]/.test(message.trim()))
    errors.push(invalid(`${at}.message`, message, 'message must not contain line breaks'));
  const reason = validation['reason'];
  if (reason !== undefined && !reasons.includes(reason as string))
    errors.push(notSupported(`${at}.reason`, reason, reasons));
}

export function validateMutatingPolicy(policy: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(policy['spec']) ?? {};
  validateFrame(errors, spec);
  const mutations = list(spec['mutations']);
  if (mutations.length === 0) errors.push(required('spec.mutations', 'mutations must contain at least one item'));
  for (const [index, mutation] of mutations.entries()) {
    const at = `spec.mutations[${index}]`;
    const type = text(mutation['patchType']);
    for (const [patchType, field] of [
      ['ApplyConfiguration', 'applyConfiguration'],
      ['JSONPatch', 'jsonPatch'],
    ] as const) {
      const given = record(mutation[field]);
      if (type === patchType) {
        if (given === undefined || text(given['expression']).trim() === '')
          errors.push(required(given === undefined ? `${at}.${field}` : `${at}.${field}.expression`));
      } else if (given !== undefined && type !== '')
        errors.push(invalid(`${at}.${field}`, {}, `${field} must be unset if patchType is ${type}`));
    }
    if (type === '') errors.push(required(`${at}.patchType`));
    else if (type !== 'ApplyConfiguration' && type !== 'JSONPatch')
      errors.push(notSupported(`${at}.patchType`, type, ['ApplyConfiguration', 'JSONPatch']));
  }
  const reinvocation = text(spec['reinvocationPolicy']);
  if (reinvocation === '') errors.push(required('spec.reinvocationPolicy'));
  else if (reinvocation !== 'Never' && reinvocation !== 'IfNeeded')
    errors.push(notSupported('spec.reinvocationPolicy', reinvocation, ['IfNeeded', 'Never']));
  return errors;
}

/** What both kinds of policy have. */
function validateFrame(errors: FieldError[], spec: Fields): void {
  const failure = spec['failurePolicy'];
  if (failure === undefined) errors.push(required('spec.failurePolicy'));
  else if (!failurePolicies.includes(failure as string))
    errors.push(notSupported('spec.failurePolicy', failure, failurePolicies));
  const kind = record(spec['paramKind']);
  if (kind !== undefined) validateParamKind(errors, 'spec.paramKind', kind);
  const constraints = record(spec['matchConstraints']);
  if (constraints === undefined) errors.push(required('spec.matchConstraints'));
  else {
    validateMatchResources(errors, 'spec.matchConstraints', constraints);
    if (list(constraints['resourceRules']).length === 0) errors.push(required('spec.matchConstraints.resourceRules'));
  }
  validateMatchConditions(errors, 'spec.matchConditions', list(spec['matchConditions']));
  for (const [index, variable] of list(spec['variables']).entries()) {
    const at = `spec.variables[${index}]`;
    const name = text(variable['name']);
    if (name.trim() === '') errors.push(required(`${at}.name`, 'name is not specified'));
    else if (!/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name) || reserved.has(name))
      errors.push(invalid(`${at}.name`, name, 'name is not a valid CEL identifier'));
    if (text(variable['expression']).trim() === '')
      errors.push(required(`${at}.expression`, 'expression is not specified'));
  }
}

/** Words that CEL keeps for itself. */
const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

function validateParamKind(errors: FieldError[], at: string, { apiVersion, kind }: Fields): void {
  const version = text(apiVersion);
  const parts = version.split('/');
  const here = `${at}.apiVersion`;
  if (version === '') errors.push(required(here));
  else if (parts.length > 2) errors.push(invalid(here, version, `unexpected GroupVersion string: ${version}`));
  else {
    const [group, name] = parts.length === 2 ? [parts[0]!, parts[1]!] : ['', parts[0]!];
    const groupProblems = group === '' ? [] : dns1123SubdomainProblems(group);
    if (groupProblems.length > 0) errors.push(invalid(here, group, groupProblems.join(',')));
    const problems = dns1035LabelProblems(name);
    if (name === '') errors.push(invalid(here, version, 'version must be specified'));
    else if (problems.length > 0) errors.push(invalid(here, name, problems.join(',')));
  }
  const problems = dns1035LabelProblems(text(kind).toLowerCase());
  if (text(kind) === '') errors.push(required(`${at}.kind`));
  else if (problems.length > 0)
    errors.push(invalid(`${at}.kind`, kind, `may have mixed case, but should otherwise match: ${problems.join(',')}`));
}

function validateMatchResources(errors: FieldError[], at: string, match: Fields): void {
  const policy = match['matchPolicy'];
  if (policy === undefined) errors.push(required(`${at}.matchPolicy`));
  else if (!matchPolicies.includes(policy as string))
    errors.push(notSupported(`${at}.matchPolicy`, policy, matchPolicies));
  for (const field of ['namespaceSelector', 'objectSelector']) {
    const selector = record(match[field]);
    if (selector === undefined) errors.push(required(`${at}.${field}`));
    else validateLabelSelector(selector, `${at}.${field}`, errors);
  }
  for (const field of ['resourceRules', 'excludeResourceRules'])
    for (const [index, rule] of list(match[field]).entries()) {
      const here = `${at}.${field}[${index}]`;
      const names = new Set<string>();
      for (const [i, name] of words(rule['resourceNames']).entries()) {
        check(errors, `${here}.resourceNames[${i}]`, name, pathSegmentProblems);
        if (names.has(name)) errors.push(duplicate(`${here}.resourceNames[${i}]`, name));
        names.add(name);
      }
      validateRule(errors, here, rule);
    }
}

const actions = ['Audit', 'Deny', 'Warn'];

export function validatePolicyBinding(binding: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(binding['spec']) ?? {};
  const policyName = text(spec['policyName']);
  if (policyName === '') errors.push(required('spec.policyName'));
  else check(errors, 'spec.policyName', policyName, dns1123SubdomainProblems);
  const param = record(spec['paramRef']);
  if (param !== undefined) validateParamRef(errors, 'spec.paramRef', param);
  const match = record(spec['matchResources']);
  // The path is spelled as upstream spells it.
  if (match !== undefined) validateMatchResources(errors, 'spec.matchResouces', match);
  if (binding.kind !== 'ValidatingAdmissionPolicyBinding') return errors;
  const given = words(spec['validationActions']);
  const at = 'spec.validationActions';
  const seen = new Set<string>();
  for (const [index, action] of given.entries()) {
    if (!actions.includes(action)) errors.push(notSupported(`${at}[${index}]`, action, actions));
    if (seen.has(action)) errors.push(duplicate(`${at}[${index}]`, action));
    seen.add(action);
  }
  if (seen.has('Deny') && seen.has('Warn'))
    errors.push(
      invalid(
        at,
        given,
        'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
      ),
    );
  if (given.length === 0) errors.push(required(at, 'at least one validation action is required'));
  return errors;
}

function validateParamRef(errors: FieldError[], at: string, param: Fields): void {
  const name = text(param['name']);
  const selector = record(param['selector']);
  const both = 'name and selector are mutually exclusive';
  if (name !== '') {
    check(errors, `${at}.name`, name, pathSegmentProblems);
    if (selector !== undefined) errors.push(forbidden(`${at}.name`, both));
  }
  if (selector !== undefined) {
    validateLabelSelector(selector, `${at}.selector`, errors);
    if (name !== '') errors.push(forbidden(`${at}.selector`, both));
  }
  if (name === '' && selector === undefined) errors.push(required(at, 'one of name or selector must be specified'));
  const action = text(param['parameterNotFoundAction']);
  if (action === '') errors.push(required(`${at}.parameterNotFoundAction`));
  else if (action !== 'Deny' && action !== 'Allow')
    errors.push(notSupported(`${at}.parameterNotFoundAction`, action, ['Deny', 'Allow']));
}
