/** The messages that turn one nftables table into another, in an order the kernel accepts. Pure. */
import type { NetlinkMessage } from '#wire/netlink/message.ts';
import { encodeAttributes } from '#wire/netlink/message.ts';
import { type Expression, encodeExpressions } from '#wire/netlink/nft-expression.ts';
import {
  deleteChain,
  deleteElements,
  deleteTable,
  Family,
  flushChain,
  newChain,
  newElements,
  newRule,
  newSet,
  newTable,
  type SetElement,
} from '#wire/netlink/nftables.ts';
import type { Chain, Table } from './rules.ts';

/** Elements in one message: its attributes' 16-bit length must hold them. */
const elementsPerMessageMax = 256;

/**
 * @param before what the kernel holds; undefined when that is unknown: the table is then made anew
 * @returns the content of one batch; empty when nothing changes
 */
export function diffTables(name: string, before: Table | undefined, after: Table): NetlinkMessage[] {
  const family = Family.ip;
  const messages: NetlinkMessage[] = [];
  // Deleting needs it to be there: make, delete, make.
  if (before === undefined) messages.push(newTable(family, name), deleteTable(family, name), newTable(family, name));

  const changed: string[] = [];
  for (const [chain, content] of after.chains) {
    const known = before?.chains.get(chain);
    if (known === undefined)
      messages.push(newChain(family, { table: name, name: chain, ...(content.base && { base: content.base }) }));
    if (known === undefined || !sameRules(known, content)) changed.push(chain);
  }
  let id = 1;
  if (before === undefined)
    for (const [set, { key, verdicts }] of after.sets)
      messages.push(newSet(family, { table: name, name: set, id: id++, key, ...(verdicts && { verdicts }) }));
  for (const chain of changed) {
    if (before?.chains.has(chain)) messages.push(flushChain(family, name, chain));
    for (const rule of after.chains.get(chain)!.rules) messages.push(newRule(family, name, chain, rule));
  }
  for (const [set, { elements }] of after.sets) {
    const known = before?.sets.get(set)?.elements ?? new Map<string, SetElement>();
    const gone = [...known]
      .filter(([key, element]) => !sameElement(elements.get(key), element))
      .map(([, element]) => element);
    const fresh = [...elements]
      .filter(([key, element]) => !sameElement(known.get(key), element))
      .map(([, element]) => element);
    for (const slice of slices(gone)) messages.push(deleteElements(family, name, set, slice));
    for (const slice of slices(fresh)) messages.push(newElements(family, name, set, slice));
  }
  // A chain goes once nothing points to it any more; its rules first.
  const dead = [...(before?.chains.keys() ?? [])].filter((chain) => !after.chains.has(chain));
  for (const chain of dead) messages.push(flushChain(family, name, chain));
  for (const chain of dead) messages.push(deleteChain(family, name, chain));
  return messages;
}

function sameRules(a: Chain, b: Chain): boolean {
  return a.rules.length === b.rules.length && a.rules.every((rule, i) => encoded(rule).equals(encoded(b.rules[i]!)));
}

function encoded(rule: readonly Expression[]): Buffer {
  return encodeAttributes(encodeExpressions(rule));
}

function sameElement(a: SetElement | undefined, b: SetElement): boolean {
  if (a === undefined) return false;
  const target = (element: SetElement) =>
    element.verdict !== undefined && 'chain' in element.verdict ? element.verdict.chain : '';
  return target(a) === target(b);
}

function* slices(elements: readonly SetElement[]): Generator<readonly SetElement[]> {
  for (let at = 0; at < elements.length; at += elementsPerMessageMax)
    yield elements.slice(at, at + elementsPerMessageMax);
}
