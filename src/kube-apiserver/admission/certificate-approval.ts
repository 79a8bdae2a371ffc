/** Whoever decides on a signing request may do so for its signer. Source: plugin CertificateApproval. */
import type { AdmissionPlugin } from '../admission.ts';
import type { Authorizer } from '../attributes.ts';
import { maySignFor } from '../authorization/signers.ts';
import { isSigningRequest, refusal, signerOf } from './signing-requests.ts';

export function certificateApproval(authorize: Authorizer): AdmissionPlugin {
  return {
    name: 'CertificateApproval',
    handles: (request) => isSigningRequest(request, 'UPDATE', 'approval'),
    validate(request) {
      // As it is stored: this path does not change it.
      const signer = signerOf(request.oldObject);
      if (!maySignFor(authorize, request.user, 'approve', signer))
        throw refusal(request, `user not permitted to approve requests with signerName ${JSON.stringify(signer)}`);
    },
  };
}
