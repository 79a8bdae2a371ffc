/** ConfigMaps and secrets: keys that can be file names, data that can be stored. */
import { type FieldError, forbidden, invalid, required, tooLong } from '#kube-machinery/field-error.ts';
import { configKeyProblems } from '#kube-machinery/names.ts';
import type { KubeObject } from '../object.ts';

type Data = Readonly<Record<string, string>>;

/** Of all values together. */
const dataBytesMax = 1 << 20;

export function validateConfigMap(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const data = (object['data'] ?? {}) as Data;
  const binary = (object['binaryData'] ?? {}) as Data;
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) {
    for (const problem of configKeyProblems(key)) errors.push(invalid(`data[${key}]`, key, problem));
    if (Object.hasOwn(binary, key)) errors.push(invalid(`data[${key}]`, key, `duplicate of key present in binaryData`));
    bytes += Buffer.byteLength(value);
  }
  for (const [key, value] of Object.entries(binary)) {
    for (const problem of configKeyProblems(key)) errors.push(invalid(`binaryData[${key}]`, key, problem));
    bytes += decodedLength(value);
  }
  // Upstream's path has one element without a name, which it writes as an empty subscript.
  if (bytes > dataBytesMax) errors.push(tooLong('[]', dataBytesMax));
  return errors;
}

/** Keys that a type of secret must have. */
const needed: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
};

export function validateSecret(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const data = (object['data'] ?? {}) as Data;
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) {
    for (const problem of configKeyProblems(key)) errors.push(invalid(`data[${key}]`, key, problem));
    bytes += decodedLength(value);
  }
  if (bytes > dataBytesMax) errors.push(tooLong('data', dataBytesMax));
  const type = String(object['type'] ?? '');
  for (const key of needed[type] ?? []) if (!Object.hasOwn(data, key)) errors.push(required(`data[${key}]`));
  if (type === 'kubernetes.io/basic-auth' && !Object.hasOwn(data, 'username') && !Object.hasOwn(data, 'password')) {
    errors.push(required('data[username]'), required('data[password]'));
  }
  if (type === 'kubernetes.io/service-account-token') {
    const account = object.metadata.annotations?.['kubernetes.io/service-account.name'];
    if (!account) errors.push(required('metadata.annotations[kubernetes.io/service-account.name]'));
  }
  if (type === '') errors.push(forbidden('type', 'must not be empty'));
  return errors;
}

function decodedLength(base64: string): number {
  return Math.floor((base64.length * 3) / 4) - (base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0);
}
