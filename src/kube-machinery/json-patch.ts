/** JSON Patch (RFC 6902) over plain values. Never changes its input: what is not touched is shared. */

export interface Operation {
  readonly op: string;
  readonly path?: string;
  readonly from?: string;
  readonly value?: unknown;
}

export class JsonPatchError extends Error {
  override readonly name = 'JsonPatchError';
}

export const operationsMax = 10_000;

/** @throws JsonPatchError */
export function applyJsonPatch(document: unknown, operations: readonly Operation[]): unknown {
  let result = document;
  for (const operation of operations) result = applyOne(result, operation);
  return result;
}

function applyOne(document: unknown, operation: Operation): unknown {
  const path = pointer(operation.path);
  switch (operation.op) {
    case 'add':
      return add(document, path, requireValue(operation));
    case 'remove':
      return remove(document, path);
    case 'replace':
      get(document, path, 'replace');
      return set(document, path, requireValue(operation));
    case 'move': {
      const from = pointer(operation.from);
      if (path.length > from.length && from.every((step, i) => step === path[i]))
        throw new JsonPatchError(`move of ${operation.from} into itself`);
      const value = get(document, from, 'move');
      return add(remove(document, from), path, value);
    }
    case 'copy':
      return add(document, path, get(document, pointer(operation.from), 'copy'));
    case 'test':
      if (!equal(lookup(document, path), operation.value ?? null))
        throw new JsonPatchError(`testing path '${operation.path}': test failed`);
      return document;
    default:
      throw new JsonPatchError(`unexpected kind: ${operation.op}`);
  }
}

function requireValue(operation: Operation): unknown {
  if (!Object.hasOwn(operation, 'value'))
    throw new JsonPatchError(`${operation.op} operation at '${operation.path}' has no value`);
  return operation.value;
}

function pointer(path: string | undefined): string[] {
  if (path === undefined) throw new JsonPatchError('operation has no path');
  if (path === '') return [];
  if (!path.startsWith('/')) throw new JsonPatchError(`path must begin with '/': '${path}'`);
  return path
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function lookup(document: unknown, path: readonly string[]): unknown {
  let value = document;
  for (const step of path) {
    if (Array.isArray(value)) value = value[Number(step)];
    else if (isObject(value) && Object.hasOwn(value, step)) value = value[step];
    else return undefined;
  }
  return value;
}

function get(document: unknown, path: readonly string[], action: string): unknown {
  const value = lookup(document, path);
  if (value === undefined)
    throw new JsonPatchError(
      `${action} operation does not apply: doc is missing path: /${path.join('/')}: missing value`,
    );
  return value;
}

/** Rebuilds the spine down to the parent of `path`, and lets `change` make the new parent. */
function rebuild(
  document: unknown,
  path: readonly string[],
  action: string,
  change: (parent: unknown, key: string) => unknown,
): unknown {
  const [step, ...rest] = path;
  if (rest.length === 0) return change(document, step!);
  if (Array.isArray(document)) {
    const index = arrayIndex(step!, document.length - 1);
    const copy = [...(document as unknown[])];
    copy[index] = rebuild(copy[index], rest, action, change);
    return copy;
  }
  if (isObject(document) && Object.hasOwn(document, step!))
    return { ...document, [step!]: rebuild(document[step!], rest, action, change) };
  throw new JsonPatchError(
    `${action} operation does not apply: doc is missing path: "/${path.join('/')}": missing value`,
  );
}

function add(document: unknown, path: readonly string[], value: unknown): unknown {
  if (path.length === 0) return value;
  return rebuild(document, path, 'add', (parent, key) => {
    if (Array.isArray(parent)) {
      const index = key === '-' ? parent.length : arrayIndex(key, parent.length);
      return [...parent.slice(0, index), value, ...parent.slice(index)];
    }
    if (isObject(parent)) return { ...parent, [key]: value };
    throw new JsonPatchError(`add operation does not apply: doc is missing path: "/${path.join('/')}": missing value`);
  });
}

function set(document: unknown, path: readonly string[], value: unknown): unknown {
  if (path.length === 0) return value;
  return rebuild(document, path, 'replace', (parent, key) => {
    if (Array.isArray(parent)) {
      const copy = [...(parent as unknown[])];
      copy[arrayIndex(key, parent.length - 1)] = value;
      return copy;
    }
    return { ...(parent as object), [key]: value };
  });
}

function remove(document: unknown, path: readonly string[]): unknown {
  if (path.length === 0) return null;
  return rebuild(document, path, 'remove', (parent, key) => {
    if (Array.isArray(parent)) {
      const index = arrayIndex(key, parent.length - 1);
      return [...parent.slice(0, index), ...parent.slice(index + 1)];
    }
    if (isObject(parent) && Object.hasOwn(parent, key)) {
      const { [key]: _, ...rest } = parent;
      return rest;
    }
    throw new JsonPatchError(
      `remove operation does not apply: doc is missing path: "/${path.join('/')}": missing value`,
    );
  });
}

function arrayIndex(step: string, max: number): number {
  if (!/^(0|[1-9]\d*)$/.test(step)) throw new JsonPatchError(`'${step}' is no index of an array`);
  const index = Number(step);
  if (index > max) throw new JsonPatchError(`Unable to access invalid index: ${step}: invalid index referenced`);
  return index;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Deep equality of JSON values. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]));
}
