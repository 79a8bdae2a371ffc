/** Who a TLS client is, from its verified certificate. */
import type { TLSSocket } from 'node:tls';
import type { HttpPeer } from './http.ts';

/** Undefined for a client without a certificate, or with one that our authorities did not sign. */
export function certificateOf(socket: TLSSocket): HttpPeer['certificate'] {
  if (!socket.authorized) return undefined;
  const certificate = socket.getPeerCertificate();
  if (certificate?.raw === undefined) return undefined;
  const subject = certificate.subject as unknown as Record<string, string | string[] | undefined>;
  const organizations = subject['O'] ?? [];
  const commonName = subject['CN'];
  return {
    commonName: (Array.isArray(commonName) ? commonName[0] : commonName) ?? '',
    organizations: Array.isArray(organizations) ? organizations : [organizations],
    der: certificate.raw,
  };
}
