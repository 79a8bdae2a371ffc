/**
 * What clients wrote down against what the members agreed on: every acknowledged write is there, once, at the revision that was said; every write that is there was
 * asked for; reads of the past are right; leases ran out no earlier than promised; and all of it together is linearizable.
 */
import type { PastRead, Recorded } from '../clients.ts';
import type { Revision, RevisionLog } from '../committed-log.ts';
import type { LeaseHeld } from '../leases.ts';
import { leasePrefix } from '../leases.ts';
import { checkHistory } from '../linearizability/check.ts';
import type { Operation } from '../linearizability/history.ts';
import {
  type Input,
  type Kv,
  type Output,
  sameKv,
  select,
  storeModel,
  type Write,
} from '../linearizability/store-model.ts';

type StoreOperation = Operation<Input, Output>;

export interface HistoryDeps {
  readonly log: RevisionLog;
  readonly recorded: Recorded;
  readonly leases: readonly LeaseHeld[];
  readonly violated: (what: string) => void;
}

/** @returns keys that went with their lease */
export function checkRecorded({ log, recorded, leases, violated }: HistoryDeps): { readonly expired: number } {
  const { operations, pastReads } = recorded;
  const claims = new Claims(log, violated);
  for (const operation of operations) if (operation.output !== undefined) claims.acknowledged(operation);
  const deletions = claims.deletions(operations.filter(({ output }) => output === undefined));
  const settled = operations.flatMap((operation): StoreOperation[] => {
    if (operation.output !== undefined) return [operation];
    const output = deletions.get(operation) ?? claims.unknown(operation);
    // What nobody agreed on has not happened.
    return output === undefined ? [] : [{ ...operation, output }];
  });
  const expiries = claims.expiries();
  claims.rest();
  checkLeases(expiries, leases, violated);
  checkPastReads(log, pastReads, violated);
  const verdict = checkHistory(storeModel, [...settled, ...expiries.map(({ operation }) => operation)]);
  if (verdict.kind === 'undecided') violated('the history is too wide to be checked');
  if (verdict.kind === 'violation') {
    const last = verdict.order.at(-1);
    violated(
      `not linearizable: ${verdict.order.length} operations fit, the last ${last === undefined ? 'none' : text(last)}; then none of\n    ${verdict.stuck
        .slice(0, 12)
        .map(text)
        .join('\n    ')}`,
    );
  }
  return { expired: expiries.length };
}

interface Expiry {
  readonly operation: StoreOperation;
  readonly atMs: number;
  readonly kvs: readonly Kv[];
}

/** Who made which revision. */
class Claims {
  readonly #log: RevisionLog;
  readonly #violated: (what: string) => void;
  readonly #claimed = new Set<number>();
  /** Revisions by a value that only one write has. */
  readonly #byValue = new Map<string, number>();

  constructor(log: RevisionLog, violated: (what: string) => void) {
    this.#log = log;
    this.#violated = violated;
    for (const [number, { changes }] of log.entries())
      for (const { kv } of changes) {
        if (kv === undefined) continue;
        const before = this.#byValue.get(kv.value);
        if (before !== undefined && before !== number)
          violated(`${kv.value} was asked for once, and written at revision ${before} and at ${number}`);
        this.#byValue.set(kv.value, number);
      }
  }

  acknowledged(operation: StoreOperation): void {
    const { input, output } = operation;
    const { revision } = output!;
    const writes = writesOf(input, output);
    if (writes.length === 0 || (input.kind === 'delete' && output!.deleted === 0)) return;
    const there = this.#log.at(revision);
    if (there === undefined || !makes(writes, there)) this.#violated(`acknowledged, but not there: ${text(operation)}`);
    else if (this.#claimed.has(revision)) this.#violated(`two writes of one revision: ${text(operation)}`);
    this.#claimed.add(revision);
  }

  /** What a put or a transaction that nobody heard of again must have answered; undefined when it has not happened. */
  unknown({ input }: StoreOperation): Output | undefined {
    if (input.kind === 'txn') {
      const ways = [true, false] as const;
      for (const succeeded of ways) {
        const revision = this.#revisionOf(succeeded ? input.success : input.failure);
        if (revision !== undefined) return { revision, succeeded };
      }
      return undefined;
    }
    if (input.kind !== 'put') return undefined;
    const revision = this.#revisionOf([input]);
    return revision === undefined ? undefined : { revision };
  }

  /**
   * What deletions that nobody heard of again must have answered. One fits any revision that nobody else has made, after it was asked for, and that left nothing in
   * its range. Several may fit the same: they are matched so that as many revisions as can have one (augmenting paths).
   */
  deletions(unknown: readonly StoreOperation[]): ReadonlyMap<StoreOperation, Output> {
    const candidates = this.#candidates(unknown.filter(({ input }) => input.kind === 'delete'));
    const made = new Map<StoreOperation, number>();
    const findsOne = (revision: number, tried: Set<StoreOperation>): boolean => {
      for (const operation of candidates.get(revision)!) {
        if (tried.has(operation)) continue;
        tried.add(operation);
        const other = made.get(operation);
        if (other !== undefined && !findsOne(other, tried)) continue;
        made.set(operation, revision);
        return true;
      }
      return false;
    };
    for (const revision of candidates.keys()) if (findsOne(revision, new Set())) this.#claimed.add(revision);
    return new Map([...made].map(([operation, revision]) => [operation, { revision }]));
  }

  /** Revisions that nobody has claimed yet and that only delete, with the deletions that fit each. */
  #candidates(deletions: readonly StoreOperation[]): ReadonlyMap<number, readonly StoreOperation[]> {
    const found = new Map<number, readonly StoreOperation[]>();
    const there = new Set<string>();
    for (const [revision, { changes, place }] of this.#log.entries()) {
      for (const { key, kv } of changes)
        if (kv === undefined) there.delete(key);
        else there.add(key);
      if (this.#claimed.has(revision) || changes.some(({ kv }) => kv !== undefined)) continue;
      const fitting = deletions.filter(({ input, call }) => {
        const within = (key: string) => isWithin(key, input as Deletion);
        return place >= call && changes.every(({ key }) => within(key)) && ![...there].some(within);
      });
      if (fitting.length > 0) found.set(revision, fitting);
    }
    return found;
  }

  /** Keys on leases that nobody has deleted. */
  expiries(): Expiry[] {
    const found: Expiry[] = [];
    for (const [revision, { changes, atMs, place }] of this.#log.entries()) {
      if (this.#claimed.has(revision)) continue;
      if (!changes.every(({ kv, key }) => kv === undefined && key.startsWith(leasePrefix))) continue;
      this.#claimed.add(revision);
      const keys = changes.map(({ key }) => key);
      found.push({
        operation: { input: { kind: 'expiry', keys }, output: { revision }, call: 0, return: place },
        atMs,
        kvs: changes.flatMap(({ before }) => (before === undefined ? [] : [before])),
      });
    }
    return found;
  }

  /** Nothing else may be there. */
  rest(): void {
    for (const [revision, { changes }] of this.#log.entries())
      if (!this.#claimed.has(revision))
        this.#violated(
          `nobody asked for revision ${revision}: ${changes.map(({ key, kv }) => `${key} ${kv?.value ?? 'deleted'}`).join(', ')}`,
        );
  }

  #revisionOf(writes: readonly Write[]): number | undefined {
    const put = writes.find((write) => write.kind === 'put');
    const revision = put && this.#byValue.get(put.value);
    if (revision === undefined) return undefined;
    if (!makes(writes, this.#log.at(revision)!))
      this.#violated(`revision ${revision} has only a part of its transaction`);
    this.#claimed.add(revision);
    return revision;
  }
}

type Deletion = Extract<Write, { readonly kind: 'delete' }>;

function isWithin(key: string, { key: from, end }: Deletion): boolean {
  return end === undefined ? key === from : key >= from && key < end;
}

function writesOf(input: Input, output: Output | undefined): readonly Write[] {
  switch (input.kind) {
    case 'put':
    case 'delete':
      return [input];
    case 'txn':
      return output?.succeeded === true ? input.success : input.failure;
    default:
      return [];
  }
}

/** Whether these writes, and nothing else, make the revision. */
function makes(writes: readonly Write[], { changes }: Revision): boolean {
  return (
    changes.every(({ key, kv }) =>
      writes.some((write) =>
        write.kind === 'put'
          ? kv?.value === write.value && key === write.key
          : kv === undefined && isWithin(key, write),
      ),
    ) &&
    writes.every(
      (write) =>
        write.kind === 'delete' || changes.some(({ key, kv }) => key === write.key && kv?.value === write.value),
    )
  );
}

function checkLeases(
  expiries: readonly Expiry[],
  leases: readonly LeaseHeld[],
  violated: (what: string) => void,
): void {
  const byKey = new Map(leases.map((lease) => [lease.key, lease]));
  for (const { atMs, kvs } of expiries)
    for (const { key } of kvs) {
      const lease = byKey.get(key);
      if (lease === undefined || lease.revoked) continue;
      const early = lease.renewedAtMs + lease.ttlMs - atMs;
      if (early > 0)
        violated(`lease ${lease.id} of ${lease.ttlMs} ms, renewed at ${lease.renewedAtMs}, ran out ${early} ms early`);
    }
}

function checkPastReads(log: RevisionLog, reads: readonly PastRead[], violated: (what: string) => void): void {
  const waiting = [...reads].sort((a, b) => a.revision - b.revision);
  const kvs = new Map<string, Kv>();
  let revision = 1;
  for (const read of waiting) {
    for (; revision < read.revision; revision++)
      for (const { key, kv } of log.at(revision + 1)?.changes ?? [])
        if (kv === undefined) kvs.delete(key);
        else kvs.set(key, kv);
    if (read.revision > log.lastRevision) violated(`a read of revision ${read.revision}, which nobody has applied`);
    const expected = select({ kvs }, { key: read.key, end: read.end, limit: 0 });
    const same =
      read.kvs.length === expected.kvs.length &&
      expected.kvs.every((kv, i) => sameKv(kv, read.kvs[i])) &&
      read.count === expected.count;
    if (!same)
      violated(
        `a read of revision ${read.revision} saw ${read.kvs.map(({ key, value }) => `${key}=${value}`).join()} and not ${expected.kvs.map(({ key, value }) => `${key}=${value}`).join()}`,
      );
  }
}

function text({ input, output, call, return: end }: StoreOperation): string {
  const show = (value: unknown) => JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each));
  return `[${call}-${end}] ${show(input)} -> ${show(output)}`;
}
