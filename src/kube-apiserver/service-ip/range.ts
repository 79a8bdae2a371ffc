/** IPv4 ranges as numbers. */

export interface AddressRange {
  readonly cidr: string;
  /** First address after the network's own. */
  readonly first: number;
  readonly count: number;
}

/** @throws RangeError for what is not an IPv4 CIDR of at least 8 addresses */
export function parseRange(cidr: string): AddressRange {
  const match = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(cidr);
  const base = match === null ? undefined : parseAddress(match[1]!);
  const bits = Number(match?.[2] ?? 33);
  if (base === undefined || bits > 29 || bits < 8)
    throw new RangeError(`${cidr} is not an IPv4 range of 8 addresses or more`);
  const size = 2 ** (32 - bits);
  // Neither the network's address nor the broadcast's.
  return { cidr, first: base - (base % size) + 1, count: size - 2 };
}

export function parseAddress(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined;
  return parts.reduce((value, part) => value * 256 + Number(part), 0);
}

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** The `kubernetes` service has it. */
export function firstAddress(cidr: string): string {
  return formatAddress(parseRange(cidr).first);
}

export function contains({ first, count }: AddressRange, address: number): boolean {
  return address >= first && address < first + count;
}
