/**
 * The expressions that nftables rules are made of: each reads or writes 4-byte registers (`register` counts from 0) and the
 * rule goes on while none of them says no. Numbers from `linux/netfilter/nf_tables.h`.
 */
import { type Attribute, be32, encodeAttributes, zeroTerminated } from './message.ts';

export type Verdict =
  | { readonly kind: 'accept' | 'drop' | 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string };

/** An encoded expression: its name and its attributes. */
export interface Expression {
  readonly name: string;
  readonly attributes: readonly Attribute[];
}

const verdictCodes = { accept: 1, drop: 0, return: -5, jump: -3, goto: -4 } as const;
const firstRegister32 = 8;
const verdictRegister = 0;

const PayloadBase = { network: 1, transport: 2 } as const;
const MetaKey = { mark: 3, iifName: 6, oifName: 7, l4Protocol: 16 } as const;
const CtKey = { status: 2 } as const;

function register(index: number): Buffer {
  return be32(firstRegister32 + index);
}

/** Loads bytes of the packet. */
export const load = {
  ipSource: (to: number) => payload(to, PayloadBase.network, 12, 4),
  ipDestination: (to: number) => payload(to, PayloadBase.network, 16, 4),
  ip6Source: (to: number) => payload(to, PayloadBase.network, 8, 16),
  ip6Destination: (to: number) => payload(to, PayloadBase.network, 24, 16),
  destinationPort: (to: number) => payload(to, PayloadBase.transport, 2, 2),
  protocol: (to: number) => meta(to, MetaKey.l4Protocol),
  inputInterface: (to: number) => meta(to, MetaKey.iifName),
  outputInterface: (to: number) => meta(to, MetaKey.oifName),
  /** The mark that an earlier rule put on the packet; host byte order. */
  mark: (to: number) => meta(to, MetaKey.mark),
  /** What the destination is to this host: 2 says one of its own addresses; host byte order. */
  destinationType: (to: number): Expression => ({
    name: 'fib',
    attributes: [
      [1, register(to)],
      [2, be32(3)],
      [3, be32(2)],
    ],
  }),
  /** Bits of the connection's state: 0x20 says its destination was translated. */
  connectionStatus: (to: number): Expression => ({
    name: 'ct',
    attributes: [
      [1, register(to)],
      [2, be32(CtKey.status)],
    ],
  }),
  /** A number in [0, modulus), drawn anew for each packet that asks. */
  random: (to: number, modulus: number): Expression => ({
    name: 'numgen',
    attributes: [
      [1, register(to)],
      [2, be32(modulus)],
      [3, be32(1)],
      [4, be32(0)],
    ],
  }),
} as const;

/** Goes on only when the register equals (or does not equal) the bytes. */
export function compare(from: number, operator: 'equal' | 'notEqual', value: Uint8Array): Expression {
  return {
    name: 'cmp',
    attributes: [
      [1, register(from)],
      [2, be32(operator === 'equal' ? 0 : 1)],
      [3, [[1, value]]],
    ],
  };
}

/** `register = (register & mask) ^ xor`, over `mask.length` bytes. */
export function mask(at: number, bits: Uint8Array): Expression {
  return {
    name: 'bitwise',
    attributes: [
      [1, register(at)],
      [2, register(at)],
      [3, be32(bits.length)],
      [4, [[1, bits]]],
      [5, [[1, Buffer.alloc(bits.length)]]],
    ],
  };
}

/** Marks the packet with the register's four bytes. */
export function setMark(from: number): Expression {
  return {
    name: 'meta',
    attributes: [
      [2, be32(MetaKey.mark)],
      [3, register(from)],
    ],
  };
}

/** Goes on only when the key in the registers is in the set. */
export function inSet(from: number, set: string): Expression {
  return {
    name: 'lookup',
    attributes: [
      [2, register(from)],
      [1, zeroTerminated(set)],
    ],
  };
}

/** Follows the verdict that the map holds for the key in the registers; goes on when it holds none. */
export function verdictFrom(from: number, map: string): Expression {
  return {
    name: 'lookup',
    attributes: [
      [2, register(from)],
      [3, be32(verdictRegister)],
      [1, zeroTerminated(map)],
    ],
  };
}

/** Puts bytes into registers. */
export function immediate(to: number, value: Uint8Array): Expression {
  return {
    name: 'immediate',
    attributes: [
      [1, register(to)],
      [2, [[1, value]]],
    ],
  };
}

export function verdict(value: Verdict): Expression {
  return {
    name: 'immediate',
    attributes: [
      [1, be32(verdictRegister)],
      [2, [[2, encodeVerdict(value)]]],
    ],
  };
}

/** Translates the destination to the address and port in the registers. */
export function destinationNat(family: number, addressAt: number, portAt: number): Expression {
  return {
    name: 'nat',
    attributes: [
      [1, be32(1)],
      [2, be32(family)],
      [3, register(addressAt)],
      [5, register(portAt)],
    ],
  };
}

/** Translates the source to the address of the interface the packet leaves by. */
export function masquerade(): Expression {
  return { name: 'masq', attributes: [] };
}

/** Answers with an ICMP port unreachable, or a TCP reset. */
export function reject(how: 'portUnreachable' | 'tcpReset'): Expression {
  return {
    name: 'reject',
    attributes:
      how === 'tcpReset'
        ? [[1, be32(1)]]
        : [
            [1, be32(0)],
            [2, Buffer.from([3])],
          ],
  };
}

export function encodeExpressions(expressions: readonly Expression[]): Attribute[] {
  return expressions.map(
    ({ name, attributes }): Attribute => [
      1,
      [
        [1, zeroTerminated(name)],
        [2, attributes],
      ],
    ],
  );
}

/** The content of a verdict attribute (without its own header). */
export function encodeVerdict(value: Verdict): Buffer {
  const attributes: Attribute[] = [[1, be32(verdictCodes[value.kind])]];
  if ('chain' in value) attributes.push([2, zeroTerminated(value.chain)]);
  return encodeAttributes(attributes);
}

function payload(to: number, base: number, offset: number, length: number): Expression {
  return {
    name: 'payload',
    attributes: [
      [1, register(to)],
      [2, be32(base)],
      [3, be32(offset)],
      [4, be32(length)],
    ],
  };
}

function meta(to: number, key: number): Expression {
  return {
    name: 'meta',
    attributes: [
      [2, be32(key)],
      [1, register(to)],
    ],
  };
}
