/** IPv4 and IPv6 addresses and prefixes: text to network bytes and back. RFC 4291, RFC 5952. */

export class AddressError extends Error {
  override readonly name = 'AddressError';
}

/** Four or sixteen bytes. Throws {@link AddressError} naming the text. Leading zeros in IPv4 are refused (RFC 6943). */
export function parseAddress(text: string): Buffer {
  const bytes = text.includes(':') ? parseIpv6(text) : parseIpv4(text);
  if (bytes === undefined) throw new AddressError(`not an IP address: ${JSON.stringify(text)}`);
  return bytes;
}

export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > bestLength) [bestStart, bestLength] = [start, length];
  }
  const hex = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (bestStart < 0) return hex(0, 8);
  return `${hex(0, bestStart)}::${hex(bestStart + bestLength, 8)}`;
}

/** A network in CIDR notation. */
export interface Prefix {
  /** Network address: the host bits are zero. */
  readonly address: Buffer;
  readonly length: number;
}

/** Throws {@link AddressError} when the text is no CIDR; host bits are cleared. */
export function parsePrefix(text: string): Prefix {
  const slash = text.indexOf('/');
  const lengthText = slash < 0 ? '' : text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(lengthText)) throw new AddressError(`not a CIDR: ${JSON.stringify(text)}`);
  const address = parseAddress(text.slice(0, slash));
  const length = Number(lengthText);
  if (length > address.length * 8) throw new AddressError(`prefix too long: ${JSON.stringify(text)}`);
  return { address: masked(address, length), length };
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`;
}

export function prefixContains(prefix: Prefix, address: Uint8Array): boolean {
  return prefix.address.length === address.length && masked(Buffer.from(address), prefix.length).equals(prefix.address);
}

/** The address `offset` (>= 0) after the network address; undefined when that leaves the prefix. */
export function addressAt(prefix: Prefix, offset: bigint): Buffer | undefined {
  const hostBits = BigInt(prefix.address.length * 8 - prefix.length);
  if (offset >= 1n << hostBits) return undefined;
  const value = BigInt(`0x${prefix.address.toString('hex')}`) + offset;
  return Buffer.from(value.toString(16).padStart(prefix.address.length * 2, '0'), 'hex');
}

function masked(address: Buffer, length: number): Buffer {
  return Buffer.from(address.map((byte, i) => byte & (0xff << Math.min(8, Math.max(0, 8 * (i + 1) - length)))));
}

function parseIpv4(text: string): Buffer | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return undefined;
  return Buffer.from(parts.map(Number));
}

function parseIpv6(text: string): Buffer | undefined {
  let head = text;
  let tail4: Buffer | undefined;
  const lastColon = text.lastIndexOf(':');
  if (text.includes('.')) {
    tail4 = parseIpv4(text.slice(lastColon + 1));
    if (tail4 === undefined) return undefined;
    head = `${text.slice(0, lastColon + 1)}${tail4.readUInt16BE(0).toString(16)}:${tail4.readUInt16BE(2).toString(16)}`;
  }
  const halves = head.split('::');
  if (halves.length > 2) return undefined;
  const groupsOf = (half: string) => (half === '' ? [] : half.split(':'));
  const left = groupsOf(halves[0]!);
  const right = halves.length === 2 ? groupsOf(halves[1]!) : [];
  const missing = 8 - left.length - right.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...left, ...new Array<string>(missing).fill('0'), ...right];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  const bytes = Buffer.alloc(16);
  for (const [i, group] of groups.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * i);
  return bytes;
}
