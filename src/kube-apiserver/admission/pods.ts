/** Which requests the pod plugins look at. */
import type { AdmissionRequest } from '../admission.ts';

export type Fields = Readonly<Record<string, unknown>>;

export function isPodCreate({ operation, resource, subresource }: AdmissionRequest): boolean {
  return operation === 'CREATE' && resource.resource === 'pods' && resource.group === '' && subresource === '';
}

export function specOf({ object }: AdmissionRequest): Fields {
  return (object?.['spec'] ?? {}) as Fields;
}
