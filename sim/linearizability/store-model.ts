/**
 * etcd's store as a sequential machine: every key with its revisions, one revision for all of them. Every answer names the revision it was given at, so
 * what may come next is hardly ever in doubt, and histories of many thousand operations are checked in milliseconds.
 */
import type { Model } from './history.ts';

export interface Kv {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** 0 for none. */
  readonly lease: bigint;
}

export type Write =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease: bigint }
  /** `end`: the first key that is not meant; one key without it. */
  | { readonly kind: 'delete'; readonly key: string; readonly end?: string };

export interface Compare {
  readonly key: string;
  readonly target: 'version' | 'mod' | 'create' | 'value';
  readonly is: number | string;
}

export type Input =
  | Write
  | { readonly kind: 'range'; readonly key: string; readonly end?: string; readonly limit: number }
  /** All compares hold: the first writes are made, else the second ones. */
  | {
      readonly kind: 'txn';
      readonly compares: readonly Compare[];
      readonly success: readonly Write[];
      readonly failure: readonly Write[];
    }
  /** Keys that went at once with their lease: nobody's request. */
  | { readonly kind: 'expiry'; readonly keys: readonly string[] };

export interface Output {
  /** Of the answer's header. */
  readonly revision: number;
  readonly previous?: Kv | undefined;
  readonly deleted?: number;
  readonly kvs?: readonly Kv[];
  readonly count?: number;
  readonly succeeded?: boolean;
}

export interface State {
  readonly revision: number;
  readonly kvs: ReadonlyMap<string, Kv>;
  /** Of all keys, whatever their order. */
  readonly fingerprint: number;
}

export const storeModel: Model<State, Input, Output> = {
  // An empty store is at revision 1: its first write gets 2.
  initial: { revision: 1, kvs: new Map(), fingerprint: 0 },
  step,
  hash: ({ revision, fingerprint }) => (fingerprint ^ Math.imul(revision, 0x9e3779b1)) >>> 0,
  equal: (a, b) => a === b || (a.revision === b.revision && a.fingerprint === b.fingerprint && sameKvs(a.kvs, b.kvs)),
  // A write makes its revision; whatever else answered with it comes after.
  rank: ({ input, output }) =>
    output === undefined
      ? Number.MAX_SAFE_INTEGER
      : output.revision * 2 + (input.kind === 'range' || output.deleted === 0 ? 1 : 0),
};

function step(state: State, input: Input, output: Output | undefined): State | undefined {
  switch (input.kind) {
    case 'range': {
      if (output === undefined) return state;
      if (output.revision !== state.revision) return undefined;
      const { kvs, count } = select(state, input);
      const same = output.kvs?.length === kvs.length && kvs.every((kv, i) => sameKv(kv, output.kvs![i]));
      return same && (output.count === undefined || output.count === count) ? state : undefined;
    }
    case 'put': {
      if (output !== undefined && output.revision !== state.revision + 1) return undefined;
      if (output !== undefined && 'previous' in output && !sameKv(state.kvs.get(input.key), output.previous))
        return undefined;
      return write(state, [input]);
    }
    case 'delete': {
      const keys = keysOf(state, input);
      if (output?.deleted !== undefined && output.deleted !== keys.length) return undefined;
      return answered(keys.length === 0 ? state : write(state, [input]), output);
    }
    case 'expiry':
      if (output !== undefined && output.revision !== state.revision + 1) return undefined;
      if (!input.keys.every((key) => state.kvs.has(key))) return undefined;
      return write(
        state,
        input.keys.map((key) => ({ kind: 'delete', key })),
      );
    case 'txn': {
      const holds = input.compares.every((compare) => compares(state.kvs.get(compare.key), compare));
      if (output?.succeeded !== undefined && output.succeeded !== holds) return undefined;
      return answered(write(state, holds ? input.success : input.failure), output);
    }
  }
}

function answered(after: State, output: Output | undefined): State | undefined {
  return output === undefined || output.revision === after.revision ? after : undefined;
}

/** All of them at one revision; the same state when nothing changes. */
function write(state: State, writes: readonly Write[]): State {
  const revision = state.revision + 1;
  const kvs = new Map(state.kvs);
  let { fingerprint } = state;
  let changed = false;
  const forget = (key: string) => {
    const kv = kvs.get(key);
    if (kv === undefined) return;
    fingerprint ^= fingerprintOf(kv);
    kvs.delete(key);
    changed = true;
  };
  for (const each of writes) {
    if (each.kind === 'delete') {
      for (const key of keysOf({ kvs }, each)) forget(key);
      continue;
    }
    const before = kvs.get(each.key);
    forget(each.key);
    const kv: Kv = {
      key: each.key,
      value: each.value,
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0) + 1,
      lease: each.lease,
    };
    kvs.set(each.key, kv);
    fingerprint ^= fingerprintOf(kv);
    changed = true;
  }
  return changed ? { revision, kvs, fingerprint } : state;
}

function keysOf({ kvs }: Pick<State, 'kvs'>, { key, end }: { readonly key: string; readonly end?: string }): string[] {
  if (end === undefined) return kvs.has(key) ? [key] : [];
  return [...kvs.keys()].filter((each) => each >= key && each < end).sort();
}

/** @param range `limit` 0 is none */
export function select(
  state: Pick<State, 'kvs'>,
  range: { readonly key: string; readonly end?: string; readonly limit: number },
): { readonly kvs: readonly Kv[]; readonly count: number } {
  const keys = keysOf(state, range);
  const kvs = (range.limit > 0 ? keys.slice(0, range.limit) : keys).map((key) => state.kvs.get(key)!);
  return { kvs, count: keys.length };
}

/** A key that is not there has zeros, and no value. */
function compares(kv: Kv | undefined, { target, is }: Compare): boolean {
  switch (target) {
    case 'version':
      return (kv?.version ?? 0) === is;
    case 'mod':
      return (kv?.modRevision ?? 0) === is;
    case 'create':
      return (kv?.createRevision ?? 0) === is;
    case 'value':
      return kv?.value === is;
  }
}

export function sameKv(a: Kv | undefined, b: Kv | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.modRevision === b.modRevision &&
    a.key === b.key &&
    a.value === b.value &&
    a.createRevision === b.createRevision &&
    a.version === b.version &&
    a.lease === b.lease
  );
}

function sameKvs(a: ReadonlyMap<string, Kv>, b: ReadonlyMap<string, Kv>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, kv] of a) if (!sameKv(kv, b.get(key))) return false;
  return true;
}

function fingerprintOf({ key, value, modRevision }: Kv): number {
  let hash = modRevision;
  for (const text of [key, value])
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
}
