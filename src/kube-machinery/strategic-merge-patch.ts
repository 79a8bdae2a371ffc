/**
 * Strategic merge patch: a merge patch that knows which lists merge by key, with directives inside the patch (`$patch`,
 * `$retainKeys`, `$setElementOrder/x`, `$deleteFromPrimitiveList/x`). Upstream's strategicpatch package; the strategies of
 * each field are handed in. Never changes its input.
 */

/** How the fields of one type merge. */
export interface PatchSchema {
  /** What is known of a field; undefined for one that merges as plain JSON does. */
  field(name: string): FieldStrategy | undefined;
}

export interface FieldStrategy {
  /** Lists: `merge` joins by key (or as a set of scalars), else they are replaced. Objects: `replace` puts the patch in whole. */
  readonly strategies: readonly string[];
  readonly mergeKey?: string;
  /** Schema of the object, or of the elements of the list. */
  readonly schema?: PatchSchema;
}

export class StrategicPatchError extends Error {
  override readonly name = 'StrategicPatchError';
}

type Dictionary = Record<string, unknown>;
const patchDirective = '$patch';
const retainKeysDirective = '$retainKeys';
const orderPrefix = '$setElementOrder/';
const deletePrefix = '$deleteFromPrimitiveList/';

/** @throws StrategicPatchError */
export function applyStrategicMergePatch(
  original: Dictionary,
  patch: Dictionary,
  schema: PatchSchema | undefined,
): Dictionary {
  const directive = patch[patchDirective];
  if (directive !== undefined) {
    if (directive === 'replace') {
      const { [patchDirective]: _, ...rest } = patch;
      return rest;
    }
    if (directive === 'delete') return {};
    if (directive !== 'merge') throw new StrategicPatchError(`unrecognized patch directive: ${String(directive)}`);
  }
  let result: Dictionary = { ...original };
  const retain = patch[retainKeysDirective];
  if (Array.isArray(retain)) {
    const kept = new Set(retain as string[]);
    for (const key of Object.keys(patch))
      if (!key.startsWith('$') && patch[key] !== null && !kept.has(key))
        throw new StrategicPatchError(
          `${retainKeysDirective} directive must contain all non-null keys of the patch: ${key}`,
        );
    result = Object.fromEntries(Object.entries(result).filter(([key]) => kept.has(key)));
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(deletePrefix)) {
      const name = key.slice(deletePrefix.length);
      const gone = new Set(value as unknown[]);
      if (Array.isArray(result[name])) result[name] = (result[name] as unknown[]).filter((item) => !gone.has(item));
    }
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) continue;
    if (value === null) {
      delete result[key];
      continue;
    }
    result[key] = mergeField(result[key], value, schema?.field(key), key);
  }
  for (const [key, value] of Object.entries(patch)) {
    if (!key.startsWith(orderPrefix)) continue;
    const name = key.slice(orderPrefix.length);
    if (Array.isArray(result[name]) && Array.isArray(value))
      result[name] = ordered(result[name] as unknown[], value, schema?.field(name)?.mergeKey);
  }
  return result;
}

function mergeField(original: unknown, patch: unknown, strategy: FieldStrategy | undefined, name: string): unknown {
  if (isObject(patch)) {
    if (strategy?.strategies.includes('replace')) return stripDirectives(patch);
    return applyStrategicMergePatch(isObject(original) ? original : {}, patch, strategy?.schema);
  }
  if (!Array.isArray(patch)) return patch;
  if (strategy === undefined || !strategy.strategies.includes('merge'))
    return patch.map((item) => (isObject(item) ? stripDirectives(item) : item));
  const list = Array.isArray(original) ? (original as unknown[]) : [];
  if (strategy.mergeKey === undefined) return [...list, ...patch.filter((item) => !list.includes(item))];
  return mergeList(list, patch, strategy.mergeKey, strategy.schema, name);
}

function mergeList(
  original: readonly unknown[],
  patch: readonly unknown[],
  mergeKey: string,
  schema: PatchSchema | undefined,
  name: string,
): unknown[] {
  let result = [...original];
  const replacing = patch.some((item) => isObject(item) && item[patchDirective] === 'replace');
  if (replacing) return patch.filter((item) => isObject(item) && item[patchDirective] === undefined);
  for (const item of patch) {
    if (!isObject(item)) throw new StrategicPatchError(`list ${name} has an element that is no object`);
    const key = item[mergeKey];
    if (key === undefined)
      throw new StrategicPatchError(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`);
    const index = result.findIndex((known) => isObject(known) && known[mergeKey] === key);
    if (item[patchDirective] === 'delete') {
      result = result.filter((known) => !(isObject(known) && known[mergeKey] === key));
      continue;
    }
    if (index < 0) result.push(stripDirectives(item));
    else result[index] = applyStrategicMergePatch(result[index] as Dictionary, item, schema);
  }
  return result;
}

/**
 * The order that the patch asks for; elements it does not name keep their place after the one they followed.
 */
function ordered(list: readonly unknown[], order: readonly unknown[], mergeKey: string | undefined): unknown[] {
  const keyOf = (item: unknown) => (mergeKey !== undefined && isObject(item) ? item[mergeKey] : item);
  const rank = new Map(order.map((item, i) => [keyOf(item), i]));
  const named = list.filter((item) => rank.has(keyOf(item))).sort((a, b) => rank.get(keyOf(a))! - rank.get(keyOf(b))!);
  const result = [...named];
  for (const [i, item] of list.entries()) {
    if (rank.has(keyOf(item))) continue;
    const before = list
      .slice(0, i)
      .reverse()
      .find((other) => result.includes(other));
    result.splice(before === undefined ? 0 : result.indexOf(before) + 1, 0, item);
  }
  return result;
}

/** What a patch adds is free of its directives. */
function stripDirectives(value: Dictionary): Dictionary {
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, member]) => !key.startsWith('$') && member !== null)
      .map(([key, member]) => [
        key,
        isObject(member)
          ? stripDirectives(member)
          : Array.isArray(member)
            ? member.map((item) => (isObject(item) ? stripDirectives(item) : item))
            : member,
      ]),
  );
}

function isObject(value: unknown): value is Dictionary {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
