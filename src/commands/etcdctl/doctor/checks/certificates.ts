/** How long certificates are still good for: those that the servers show, and those that were named by flags. */
import type { Asked, CertificateFacts, Facts } from '../facts.ts';
import { type Complaint, type Next, skipped, type Verdict, verdictOf } from '../finding.ts';
import { subjectsOf } from '../subjects.ts';
import type { Thresholds } from '../thresholds.ts';
import { counted, humanMs, quoted } from '../words.ts';

interface Shown {
  readonly what: string;
  readonly certificate: Asked<CertificateFacts>;
  /** Looks at it again. */
  readonly next: Next;
}

export function certificates(facts: Facts, { minCertificateMs }: Thresholds): Verdict {
  const shown = shownIn(facts);
  if (shown.length === 0) return skipped('no TLS');
  const complaints: Complaint[] = [];
  const known: { readonly what: string; readonly leftMs: number }[] = [];
  for (const { what, certificate, next } of shown) {
    if (certificate.kind !== 'answered') continue;
    const { subject, notBeforeMs, notAfterMs } = certificate.value;
    const leftMs = notAfterMs - facts.nowMs;
    known.push({ what, leftMs });
    const text = `${what} (${subject})`;
    if (leftMs <= 0)
      complaints.push({ result: 'FAIL', text: `${text} has ended ${humanMs(-leftMs)} ago`, next: [next] });
    else if (notBeforeMs > facts.nowMs)
      complaints.push({
        result: 'FAIL',
        text: `${text} is not valid for another ${humanMs(notBeforeMs - facts.nowMs)}`,
        next: [next],
      });
    else if (leftMs < minCertificateMs)
      complaints.push({ result: 'WARN', text: `${text} ends in ${humanMs(leftMs)}`, next: [next] });
  }
  const first = known.toSorted((a, b) => a.leftMs - b.leftMs)[0];
  if (first === undefined) return skipped('no certificate could be seen: nobody answers');
  return verdictOf(
    complaints,
    `${counted(known.length, 'certificate')}, the first to end in ${humanMs(first.leftMs)}: ${first.what}`,
    known.map(({ what, leftMs }) => ({ name: 'certificate_left_seconds', value: leftMs / 1000, of: what })),
  );
}

function shownIn(facts: Facts): readonly Shown[] {
  const subjects = subjectsOf(facts);
  const servers = facts.endpoints.flatMap(({ url, certificate }): readonly Shown[] => {
    if (certificate === undefined) return [];
    const label = subjects.find(({ endpoint }) => endpoint.url === url)?.label;
    const address = url.replace(/^\w+:\/\//, '');
    return [
      {
        what: `${label === undefined ? '' : `${label} `}${url}`,
        certificate,
        next: { command: `openssl s_client -connect ${quoted(address)} </dev/null | openssl x509 -noout -dates` },
      },
    ];
  });
  const files = facts.certificateFiles.map(
    ({ flag, path, ...value }): Shown => ({
      what: `--${flag} ${path}`,
      certificate: { kind: 'answered', value },
      next: { command: `openssl x509 -noout -dates -in ${quoted(path)}` },
    }),
  );
  return [...servers, ...files];
}
