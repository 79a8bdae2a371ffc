/**
 * The patch of `apply`, from three objects: what the last manifest said, what this one says, what is there. It sets what differs from what is there and removes
 * what the last manifest said and this one does not; what others have set is left alone. Empty when there is nothing to do: the server is not asked then, so
 * that a controller that writes at the same moment changes nothing about the answer. A strategic merge patch where the kind's lists are known, else a
 * merge patch (upstream's strategicpatch and jsonmergepatch). Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import type { PatchSchema } from '#kube-machinery/strategic-merge-patch.ts';

type Fields = Readonly<Record<string, unknown>>;

export interface ThreeWays {
  /** Of the annotation; empty when the object was never applied. */
  readonly last: Fields;
  readonly wanted: Fields;
  readonly live: Fields;
}

/** @param schema undefined for kinds whose lists are not known: a merge patch, lists replaced */
export function threeWayPatch({ last, wanted, live }: ThreeWays, schema: PatchSchema | undefined): Fields {
  const patch: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(wanted)) {
    const there = live[key];
    if (isFields(value) && isFields(there)) {
      const field = schema?.field(key);
      const inner = threeWayPatch({ last: fieldsOr(last[key]), wanted: value, live: there }, field?.schema);
      const whole = field?.strategies.includes('retainKeys') ? retainingKeys(inner, value, there) : inner;
      if (!isEmpty(whole)) patch[key] = whole;
    } else if (Array.isArray(value) && Array.isArray(there))
      Object.assign(patch, listPatch(key, { last: listOr(last[key]), wanted: value, live: there }, schema));
    else if (!isDeepStrictEqual(value, there)) patch[key] = value;
  }
  for (const key of Object.keys(last)) if (!(key in wanted)) patch[key] = null;
  return patch;
}

/** Of a union (a volume, a strategy): whatever else is there, defaults of another member too, goes. */
function retainingKeys(patch: Fields, wanted: Fields, live: Fields): Fields {
  const more = Object.entries(live).some(([key, value]) => value !== null && !(key in wanted));
  if (isEmpty(patch) && !more) return patch;
  const $retainKeys = Object.keys(wanted)
    .filter((key) => wanted[key] !== null)
    .sort();
  return $retainKeys.length === 0 ? patch : { ...patch, $retainKeys };
}

interface Lists {
  readonly last: readonly unknown[];
  readonly wanted: readonly unknown[];
  readonly live: readonly unknown[];
}

/** The fields of the patch that speak of one list: the list itself, its order, its removals. */
function listPatch(name: string, { last, wanted, live }: Lists, parent: PatchSchema | undefined): Fields {
  const field = parent?.field(name);
  if (!field?.strategies.includes('merge')) return isDeepStrictEqual(wanted, live) ? {} : { [name]: wanted };
  if (live.length === 0) return wanted.length === 0 ? {} : { [name]: wanted };
  const { mergeKey } = field;
  if (mergeKey === undefined) {
    const more = wanted.filter((item) => !live.includes(item));
    const gone = last.filter((item) => !wanted.includes(item));
    return {
      ...(more.length > 0 && { [name]: more }),
      ...(gone.length > 0 && { [`$deleteFromPrimitiveList/${name}`]: gone }),
      ...((gone.length > 0 || !isDeepStrictEqual(wanted, live)) && { [`$setElementOrder/${name}`]: wanted }),
    };
  }
  const keyOf = (item: unknown) => (isFields(item) ? item[mergeKey] : undefined);
  const named = (list: readonly unknown[], key: unknown) => list.find((item) => keyOf(item) === key);
  const items = wanted.flatMap((item) => {
    const there = named(live, keyOf(item));
    if (!isFields(item) || !isFields(there)) return [item];
    const inner = threeWayPatch({ last: fieldsOr(named(last, keyOf(item))), wanted: item, live: there }, field.schema);
    const whole = field.strategies.includes('retainKeys') ? retainingKeys(inner, item, there) : inner;
    return isEmpty(whole) ? [] : [{ ...whole, [mergeKey]: keyOf(item) }];
  });
  const gone = last
    .filter((item) => named(wanted, keyOf(item)) === undefined)
    .map((item) => ({ $patch: 'delete', [mergeKey]: keyOf(item) }));
  const patch = [...items, ...gone];
  const sameOrder = wanted.length === live.length && wanted.every((item, i) => keyOf(item) === keyOf(live[i]));
  return {
    ...(patch.length > 0 && { [name]: patch }),
    ...((patch.length > 0 || !sameOrder) && {
      [`$setElementOrder/${name}`]: wanted.map((item) => ({ [mergeKey]: keyOf(item) })),
    }),
  };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fieldsOr(value: unknown): Fields {
  return isFields(value) ? value : {};
}

function listOr(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isEmpty(fields: Fields): boolean {
  return Object.keys(fields).length === 0;
}
