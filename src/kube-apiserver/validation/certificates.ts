/** Certificate signing requests, but for the signature inside. Source: pkg/apis/certificates/validation. */
import { duplicate, type FieldError, invalid, notSupported, required } from '#kube-machinery/field-error.ts';
import { equal } from '#kube-machinery/json-patch.ts';
import { dns1123LabelProblems, dns1123SubdomainProblems } from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';
import { record, text, words } from './fields.ts';

const secondsMin = 600;
const domainMax = 253;
const pathMax = 571;
const usages = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
];

export function validateSigningRequest(csr: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = record(csr['spec']) ?? {};
  const request = text(spec['request']);
  const pem = Buffer.from(request, 'base64').toString('latin1');
  if (!/-----BEGIN CERTIFICATE REQUEST-----\r?\n[\s\S]*-----END CERTIFICATE REQUEST-----/.test(pem))
    errors.push(invalid('spec.request', request, 'PEM block type must be CERTIFICATE REQUEST'));
  const given = words(spec['usages']);
  if (given.length === 0) errors.push(required('spec.usages'));
  const seen = new Set<string>();
  for (const [index, usage] of given.entries()) {
    const at = `spec.usages[${index}]`;
    if (!usages.includes(usage)) errors.push(notSupported(at, usage, usages));
    if (seen.has(usage)) errors.push(duplicate(at, usage));
    seen.add(usage);
  }
  const signer = text(spec['signerName']);
  if (signer === 'kubernetes.io/legacy-unknown')
    errors.push(invalid('spec.signerName', signer, 'the legacy signerName is not allowed via this API version'));
  else checkSignerName(errors, 'spec.signerName', signer);
  const seconds = spec['expirationSeconds'] as number | undefined;
  if (seconds !== undefined && seconds < secondsMin)
    errors.push(
      invalid('spec.expirationSeconds', seconds, 'may not specify a duration less than 600 seconds (10 minutes)'),
    );
  return errors;
}

function checkSignerName(errors: FieldError[], at: string, name: string): void {
  if (name === '') {
    errors.push(required(at));
    return;
  }
  const [domain = '', path = '', ...more] = name.split('/');
  if (path === '' || domain === '' || more.length > 0) {
    errors.push(invalid(at, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'"));
    return;
  }
  const problems = dns1123SubdomainProblems(domain);
  for (const problem of problems)
    errors.push(invalid(at, domain, `validating label ${JSON.stringify(domain)}: ${problem}`));
  if (domain.length > domainMax || domain.split('.').length < 2)
    errors.push(invalid(at, name, 'should be a domain with at least two segments separated by dots'));
  if (path.length > pathMax) errors.push(invalid(at, name, `must be no more than ${pathMax} characters`));
  for (const label of path.split('.'))
    for (const problem of dns1123LabelProblems(label))
      errors.push(invalid(at, name, `validating label ${JSON.stringify(label)}: ${problem}`));
}

export function validateSigningRequestUpdate(csr: KubeObject, old: KubeObject): FieldError[] {
  return equal(csr['spec'], old['spec']) ? [] : validateSigningRequest(csr);
}
