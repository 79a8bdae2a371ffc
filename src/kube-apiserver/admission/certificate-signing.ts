/** Whoever sets the certificate of a signing request, or its conditions, may do so for its signer. Source: plugin CertificateSigning. */
import { equal } from '#kube-machinery/json-patch.ts';
import type { AdmissionPlugin } from '../admission.ts';
import type { Authorizer } from '../attributes.ts';
import { maySignFor } from '../authorization/signers.ts';
import type { KubeObject } from '../object.ts';
import { isSigningRequest, refusal, signerOf } from './signing-requests.ts';

export function certificateSigning(authorize: Authorizer): AdmissionPlugin {
  return {
    name: 'CertificateSigning',
    handles: (request) => isSigningRequest(request, 'UPDATE', 'status'),
    validate(request) {
      const { object, oldObject, user } = request;
      if (equal(signedPart(object), signedPart(oldObject))) return;
      const signer = signerOf(oldObject);
      if (!maySignFor(authorize, user, 'sign', signer))
        throw refusal(request, `user not permitted to sign requests with signerName ${JSON.stringify(signer)}`);
    },
  };
}

function signedPart(csr: KubeObject | undefined): object {
  const { certificate = '', conditions = [] } = (csr?.['status'] ?? {}) as {
    readonly certificate?: string;
    readonly conditions?: readonly unknown[];
  };
  return { certificate, conditions };
}
