/** Certificates as a server shows them, whether they are good or not, and those in files. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import { dial } from '#transport/dial.ts';
import type { Session } from '../session.ts';
import { ask, PageError } from './ask.ts';
import type { Asked, CertificateFacts, CertificateFileFacts } from './facts.ts';

/** As many of a bundle are looked at. */
const certificatesMax = 200;

/** Nothing is sent to a server that is not who it should be: the connection ends with the handshake. */
export function certificateOf({ endpoint, targetOf, dialTimeoutMs, call }: Session): Promise<Asked<CertificateFacts>> {
  return ask(async () => {
    const target = targetOf(endpoint)!;
    const socket = await dial(
      { ...target, tls: { ...target.tls, insecure: true } },
      { protocols: ['h2', 'http/1.1'], timeoutMs: dialTimeoutMs > 0 ? dialTimeoutMs : call.timeoutMs },
    );
    socket.on('error', () => {});
    const certificate = (socket as TLSSocket).getPeerX509Certificate();
    socket.destroy();
    if (certificate === undefined) throw new PageError('the server shows no certificate');
    return factsOf(certificate);
  });
}

/** Those of a PEM file. What is none is left out: connecting has said so already. */
export function certificatesIn(flag: 'cert' | 'cacert', path: string): readonly CertificateFileFacts[] {
  const blocks = readFileSync(path, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.slice(0, certificatesMax).flatMap((pem) => {
    try {
      return [{ flag, path, ...factsOf(new X509Certificate(pem)) }];
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error)) throw error;
      return [];
    }
  });
}

function factsOf({ subject, subjectAltName, validFrom, validTo }: X509Certificate): CertificateFacts {
  return {
    subject: (subject || subjectAltName || 'no name').replaceAll('\n', ', '),
    notBeforeMs: Date.parse(validFrom),
    notAfterMs: Date.parse(validTo),
  };
}
