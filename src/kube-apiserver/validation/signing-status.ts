/**
 * What becomes of a signing request: its conditions and its certificate, which the paths `approval` and `status` write. What was wrong
 * already in the stored object is let be. Source: pkg/apis/certificates/validation.
 */
import { X509Certificate } from 'node:crypto';
import type { Resource } from '#api-kube/resource.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import type { KubeObject } from '../object.ts';
import { type Fields, list, record, text } from './fields.ts';
import { validateMetadataUpdate } from './metadata.ts';

const decisions = ['Approved', 'Denied'];
/** There, they are true; and once there, they stay. */
const final = [...decisions, 'Failed'];
const statuses = ['False', 'True', 'Unknown'];
const conditionsAt = 'status.conditions';
const certificateAt = 'status.certificate';

const conditionsOf = (csr: KubeObject) => list(record(csr['status'])?.['conditions']);
const typesOf = (csr: KubeObject) => conditionsOf(csr).map((condition) => text(condition['type']));
const certificateOf = (csr: KubeObject) => text(record(csr['status'])?.['certificate']);
const count = (types: readonly string[], type: string) => types.filter((one) => one === type).length;

/** The `approval` path: decides. The certificate it cannot reach. */
export function validateSigningApproval(resource: Resource, csr: KubeObject, old: KubeObject): FieldError[] {
  return [...validateConditions(csr, old), ...removals(csr, old), ...validateMetadataUpdate(resource, csr, old)];
}

/** The `status` path: sets the certificate, and decides nothing. */
export function validateSigningStatus(resource: Resource, csr: KubeObject, old: KubeObject): FieldError[] {
  const errors = [...validateConditions(csr, old), ...validateCertificate(csr, old), ...removals(csr, old)];
  const [types, before] = [typesOf(csr), typesOf(old)];
  for (const type of decisions)
    if (count(types, type) > count(before, type))
      errors.push(forbidden(conditionsAt, `updates may not add a condition of type ${JSON.stringify(type)}`));
  if (certificateOf(csr) !== certificateOf(old) && certificateOf(old) !== '')
    errors.push(forbidden(certificateAt, 'updates may not modify existing certificate content'));
  return [...errors, ...validateMetadataUpdate(resource, csr, old)];
}

function validateConditions(csr: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const before = typesOf(old);
  const wasBoth = decisions.every((type) => before.includes(type));
  const hadDuplicates = new Set(before).size < before.length;
  const seen = new Set<string>();
  for (const [index, condition] of conditionsOf(csr).entries()) {
    const at = `${conditionsAt}[${index}]`;
    const type = text(condition['type']);
    if (type === '' && !before.includes('')) errors.push(required(`${at}.type`));
    validateConditionStatus(errors, `${at}.status`, type, condition);
    const other = decisions.find((one) => one !== type);
    if (!wasBoth && decisions.includes(type) && seen.has(other!))
      errors.push(invalid(conditionsAt, type, 'Approved and Denied conditions are mutually exclusive'));
    if (!hadDuplicates && seen.has(type)) errors.push(duplicate(`${at}.type`, type));
    seen.add(type);
  }
  return errors;
}

function validateConditionStatus(errors: FieldError[], at: string, type: string, condition: Fields): void {
  const status = text(condition['status']);
  const allowed = final.includes(type) ? ['True'] : statuses;
  if (status === '') errors.push(required(at));
  else if (!allowed.includes(status)) errors.push(notSupported(at, status, allowed));
}

function removals(csr: KubeObject, old: KubeObject): FieldError[] {
  const [types, before] = [typesOf(csr), typesOf(old)];
  return final
    .filter((type) => count(types, type) < count(before, type))
    .map((type) => forbidden(conditionsAt, `updates may not remove a condition of type ${JSON.stringify(type)}`));
}

function validateCertificate(csr: KubeObject, old: KubeObject): FieldError[] {
  const [certificate, before] = [certificateOf(csr), certificateOf(old)];
  if (certificate === before || certificateProblem(before) !== undefined) return [];
  const problem = certificateProblem(certificate);
  return problem === undefined ? [] : [invalid(certificateAt, '<certificate data>', problem)];
}

const block = /-----BEGIN ([^\n]*?)-----[ \t\r]*\n([\s\S]*?)-----END \1-----/g;

/** Of certificates in PEM, in base64; none is no problem. */
function certificateProblem(base64: string): string | undefined {
  if (base64 === '') return undefined;
  const pem = Buffer.from(base64, 'base64').toString('latin1');
  let blocks = 0;
  for (const [, type = '', body = ''] of pem.matchAll(block)) {
    if (type !== 'CERTIFICATE') return `only CERTIFICATE PEM blocks are allowed, found ${JSON.stringify(type)}`;
    if (body.includes(':')) return 'no PEM block headers are permitted';
    blocks++;
    try {
      new X509Certificate(Buffer.from(body, 'base64'));
    } catch {
      return 'x509: malformed certificate';
    }
  }
  return blocks === 0 ? 'must contain at least one CERTIFICATE PEM block' : undefined;
}
