/**
 * nf_tables over nfnetlink: tables, chains, rules, sets and their elements as messages of one atomic batch.
 * Numbers from `linux/netfilter/nf_tables.h`. Rules are built from expressions in `nft-expression.ts`.
 */
import { type Attribute, be32, encodeAttributes, Flag, type NetlinkMessage, zeroTerminated } from './message.ts';
import { type Expression, encodeExpressions, encodeVerdict, type Verdict } from './nft-expression.ts';

const subsystem = 10;
const NFT = {
  newTable: 0,
  delTable: 2,
  newChain: 3,
  delChain: 5,
  newRule: 6,
  delRule: 8,
  newSet: 9,
  delSet: 11,
  newSetElem: 12,
  delSetElem: 14,
} as const;
const batchBegin = 0x10;
const batchEnd = 0x11;

export const Family = { ip: 2, ip6: 10 } as const;
export type Family = (typeof Family)[keyof typeof Family];

/** Netfilter hook numbers. */
export const Hook = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

/** Data types as `nft list` names them; concatenations shift by six bits a field. */
export const DataType = { ipAddress: 7, protocol: 12, service: 13, mark: 19 } as const;
const verdictType = 0xffffff00;

const SetFlag = { interval: 0x4, map: 0x8, concat: 0x80 } as const;

export interface ChainRequest {
  readonly table: string;
  readonly name: string;
  /** A base chain: where it hooks in. A regular chain, reached by jumps, has none. */
  readonly base?: { readonly type: 'nat' | 'filter'; readonly hook: number; readonly priority: number };
}

/** One field of a set's key. */
export interface KeyField {
  readonly type: number;
  /** Length in bytes, before padding to four. */
  readonly length: number;
}

export interface SetRequest {
  readonly table: string;
  readonly name: string;
  /** Chosen by the sender, unique within the batch. */
  readonly id: number;
  readonly key: readonly KeyField[];
  /** A verdict map; a plain set otherwise. */
  readonly verdicts?: true;
}

export interface SetElement {
  /** Fields, each padded to four bytes by {@link concatenateKey}. */
  readonly key: Buffer;
  readonly verdict?: Verdict;
}

/** Everything in the batch happens at once, or nothing. */
export function batch(messages: readonly NetlinkMessage[]): NetlinkMessage[] {
  const border = (type: number): NetlinkMessage => ({ type, flags: Flag.request, body: genericHeader(0, subsystem) });
  return [border(batchBegin), ...messages, border(batchEnd)];
}

export function newTable(family: Family, name: string): NetlinkMessage {
  return message(NFT.newTable, Flag.create, family, [[1, zeroTerminated(name)]]);
}

export function deleteTable(family: Family, name: string): NetlinkMessage {
  return message(NFT.delTable, 0, family, [[1, zeroTerminated(name)]]);
}

export function newChain(family: Family, { table, name, base }: ChainRequest): NetlinkMessage {
  const attributes: Attribute[] = [
    [1, zeroTerminated(table)],
    [3, zeroTerminated(name)],
  ];
  if (base !== undefined) {
    attributes.push([
      4,
      [
        [1, be32(base.hook)],
        [2, be32(base.priority)],
      ],
    ]);
    attributes.push([7, zeroTerminated(base.type)]);
  }
  return message(NFT.newChain, Flag.create, family, attributes);
}

export function deleteChain(family: Family, table: string, name: string): NetlinkMessage {
  return message(NFT.delChain, 0, family, [
    [1, zeroTerminated(table)],
    [3, zeroTerminated(name)],
  ]);
}

/** Appends a rule to a chain. */
export function newRule(
  family: Family,
  table: string,
  chain: string,
  expressions: readonly Expression[],
): NetlinkMessage {
  return message(NFT.newRule, Flag.create | Flag.append, family, [
    [1, zeroTerminated(table)],
    [2, zeroTerminated(chain)],
    [4, encodeExpressions(expressions)],
  ]);
}

/** Removes all rules of a chain. */
export function flushChain(family: Family, table: string, chain: string): NetlinkMessage {
  return message(NFT.delRule, 0, family, [
    [1, zeroTerminated(table)],
    [2, zeroTerminated(chain)],
  ]);
}

export function newSet(family: Family, { table, name, id, key, verdicts }: SetRequest): NetlinkMessage {
  const type = key.reduce((joined, field) => (joined << 6) | field.type, 0);
  const length = key.reduce((sum, field) => sum + padded(field.length), 0);
  const attributes: Attribute[] = [
    [1, zeroTerminated(table)],
    [2, zeroTerminated(name)],
    [3, be32((verdicts ? SetFlag.map : 0) | (key.length > 1 ? SetFlag.concat : 0))],
    [4, be32(type)],
    [5, be32(length)],
    [10, be32(id)],
  ];
  if (verdicts) attributes.push([6, be32(verdictType)], [7, be32(0)]);
  if (key.length > 1) attributes.push([9, [[2, key.map((field): Attribute => [1, [[1, be32(field.length)]]])]]]);
  return message(NFT.newSet, Flag.create, family, attributes);
}

export function deleteSet(family: Family, table: string, name: string): NetlinkMessage {
  return message(NFT.delSet, 0, family, [
    [1, zeroTerminated(table)],
    [2, zeroTerminated(name)],
  ]);
}

export function newElements(
  family: Family,
  table: string,
  set: string,
  elements: readonly SetElement[],
): NetlinkMessage {
  return elementsMessage(NFT.newSetElem, Flag.create, family, table, set, elements);
}

export function deleteElements(
  family: Family,
  table: string,
  set: string,
  elements: readonly SetElement[],
): NetlinkMessage {
  return elementsMessage(NFT.delSetElem, 0, family, table, set, elements);
}

/** Joins the fields of a concatenated key, each padded to four bytes. */
export function concatenateKey(fields: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    fields.map((field) => Buffer.concat([field, Buffer.alloc(padded(field.length) - field.length)])),
  );
}

function elementsMessage(
  type: number,
  flags: number,
  family: Family,
  table: string,
  set: string,
  elements: readonly SetElement[],
): NetlinkMessage {
  const list = elements.map(({ key, verdict }): Attribute => {
    const attributes: Attribute[] = [[1, [[1, key]]]];
    if (verdict !== undefined) attributes.push([2, [[2, encodeVerdict(verdict)]]]);
    return [1, attributes];
  });
  return message(type, flags, family, [
    [1, zeroTerminated(table)],
    [2, zeroTerminated(set)],
    [3, list],
  ]);
}

function message(type: number, flags: number, family: Family, attributes: readonly Attribute[]): NetlinkMessage {
  return {
    type: (subsystem << 8) | type,
    flags: Flag.request | Flag.ack | flags,
    body: Buffer.concat([genericHeader(family, 0), encodeAttributes(attributes)]),
  };
}

/** struct nfgenmsg. */
function genericHeader(family: number, resource: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt16BE(resource, 2);
  return bytes;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
