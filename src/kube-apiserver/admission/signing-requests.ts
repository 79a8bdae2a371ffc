/** What the plugins of certificates share: which requests are theirs, what of one they look at, and how they refuse it. */
import { forbiddenError, type StatusError } from '#kube-machinery/status.ts';
import type { AdmissionRequest, Operation } from '../admission.ts';
import type { KubeObject } from '../object.ts';

/** @param subresource empty for the object itself */
export function isSigningRequest(request: AdmissionRequest, operation: Operation, subresource: string): boolean {
  const { resource } = request;
  return (
    request.operation === operation &&
    request.subresource === subresource &&
    resource.group === 'certificates.k8s.io' &&
    resource.resource === 'certificatesigningrequests'
  );
}

/** Empty where none is named. */
export function signerOf(csr: KubeObject | undefined): string {
  return ((csr?.['spec'] ?? {}) as { readonly signerName?: string }).signerName ?? '';
}

/** Forbidden, in the words of admission. */
export function refusal({ resource, name }: AdmissionRequest, why: string): StatusError {
  return forbiddenError(resource, name, why);
}
