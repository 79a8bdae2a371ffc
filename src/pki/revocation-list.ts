/**
 * Which certificates a revocation list names, by serial number. As upstream's etcd reads such a list: who signed it, and whether it is still
 * current, is the business of whoever put the file there. RFC 5280, section 5.
 */

const tag = { integer: 0x02, sequence: 0x30, utcTime: 0x17, generalizedTime: 0x18 } as const;

interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

/**
 * @param list DER, or PEM
 * @returns serial numbers as Node's X509Certificate writes them: hexadecimal, in capitals
 * @throws TypeError for what is no list
 */
export function revokedSerialNumbers(list: Buffer): ReadonlySet<string> {
  const [outer] = elements(derOf(list));
  const [toBeSigned] = elements(contentOf(outer, tag.sequence));
  const fields = elements(contentOf(toBeSigned, tag.sequence));
  // version?, signature, issuer, thisUpdate, nextUpdate?, revokedCertificates?, extensions?
  const times = fields.findLastIndex((field) => field.tag === tag.utcTime || field.tag === tag.generalizedTime);
  if (times < 0) throw new TypeError('not a certificate revocation list');
  const revoked = fields[times + 1];
  if (revoked?.tag !== tag.sequence) return new Set();
  return new Set(
    elements(revoked.content).map((entry) => {
      const [serial] = elements(contentOf(entry, tag.sequence));
      return serialText(contentOf(serial, tag.integer));
    }),
  );
}

function derOf(list: Buffer): Buffer {
  const pem = /-----BEGIN (?:X509 )?CRL-----([^-]+)-----END/.exec(list.toString('latin1'));
  return pem === null ? list : Buffer.from(pem[1]!, 'base64');
}

function serialText(integer: Buffer): string {
  const text = integer
    .toString('hex')
    .toUpperCase()
    .replace(/^(?:00)+(?=.)/, '');
  return text;
}

function contentOf(element: Element | undefined, wanted: number): Buffer {
  if (element?.tag !== wanted) throw new TypeError('not a certificate revocation list');
  return element.content;
}

function elements(bytes: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at + 1];
    if (first === undefined) throw new TypeError('a revocation list is cut');
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    if (lengthBytes > 4 || (first >= 0x80 && lengthBytes === 0))
      throw new TypeError('not a certificate revocation list');
    const start = at + 2 + lengthBytes;
    if (start > bytes.length) throw new TypeError('a revocation list is cut');
    const length = lengthBytes === 0 ? first : bytes.readUIntBE(at + 2, lengthBytes);
    if (start + length > bytes.length) throw new TypeError('a revocation list is cut');
    found.push({ tag: bytes[at]!, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return found;
}
