/** Nobody gets a client certificate of the group that may do everything. Source: plugin CertificateSubjectRestriction. */
import { loadX509 } from '#pki/x509.ts';
import type { AdmissionPlugin } from '../admission.ts';
import type { KubeObject } from '../object.ts';
import { mastersGroup } from '../user.ts';
import { isSigningRequest, refusal, signerOf } from './signing-requests.ts';

const clientSigner = 'kubernetes.io/kube-apiserver-client';

export const certificateSubjectRestriction: AdmissionPlugin = {
  name: 'CertificateSubjectRestriction',
  handles: (request) => isSigningRequest(request, 'CREATE', '') && signerOf(request.object) === clientSigner,
  async validate(request) {
    let organizations: readonly string[];
    try {
      organizations = await organizationsOf(request.object!);
    } catch (error) {
      throw refusal(request, `failed to parse CSR: ${(error as Error).message}`);
    }
    if (organizations.includes(mastersGroup))
      throw refusal(request, `use of ${clientSigner} signer with ${mastersGroup} group is not allowed`);
  },
};

async function organizationsOf(csr: KubeObject): Promise<readonly string[]> {
  const { Pkcs10CertificateRequest } = await loadX509();
  const { request = '' } = csr['spec'] as { readonly request?: string };
  const pem = Buffer.from(request, 'base64').toString('latin1');
  return new Pkcs10CertificateRequest(pem).subjectName.getField('O');
}
