/**
 * The patch of `apply`: everything the manifest says, and the removal of what the last one said and this one does not. What others have set is left
 * alone. A strategic merge patch where the kind's lists are known, else a merge patch. Pure.
 */
import type { PatchSchema } from '#kube-machinery/strategic-merge-patch.ts';

type Fields = Readonly<Record<string, unknown>>;

/** @param schema undefined for kinds whose lists are not known: a merge patch, lists replaced */
export function threeWayPatch(last: Fields, wanted: Fields, schema: PatchSchema | undefined): Fields {
  const patch: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(wanted)) {
    const field = schema?.field(key);
    const before = last[key];
    if (isFields(value)) patch[key] = threeWayPatch(isFields(before) ? before : {}, value, field?.schema);
    else if (Array.isArray(value) && field?.strategies.includes('merge'))
      patch[key] = listPatch(Array.isArray(before) ? before : [], value, field.mergeKey, field.schema);
    else patch[key] = value;
  }
  for (const key of Object.keys(last)) if (!(key in wanted)) patch[key] = null;
  return patch;
}

function listPatch(
  last: readonly unknown[],
  wanted: readonly unknown[],
  mergeKey: string | undefined,
  schema: PatchSchema | undefined,
): unknown[] {
  if (mergeKey === undefined) return [...wanted];
  const keyOf = (item: unknown) => (isFields(item) ? item[mergeKey] : undefined);
  const kept = wanted.map((item) => {
    const before = last.find((other) => keyOf(other) === keyOf(item));
    return isFields(item) ? threeWayPatch(isFields(before) ? before : {}, item, schema) : item;
  });
  const gone = last
    .filter((item) => !wanted.some((other) => keyOf(other) === keyOf(item)))
    .map((item) => ({ $patch: 'delete', [mergeKey]: keyOf(item) }));
  return [...kept, ...gone];
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
