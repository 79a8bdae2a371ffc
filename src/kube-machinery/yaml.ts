/**
 * YAML 1.1 as Kubernetes reads it: one document that means JSON. Bounded in aliases and depth; the error texts begin as upstream's do.
 */
import { parseDocument } from 'yaml';
import { badRequestError } from './status.ts';
import { depthMax, type Json, type ParsedJson } from './strict-json.ts';

/** Expansions of aliases; beyond it a document is an attack ("billion laughs"). */
const aliasesMax = 100;

/** @throws StatusError BadRequest */
export function parseYaml(text: string): ParsedJson {
  const document = parseDocument(text, { version: '1.1', schema: 'yaml-1.1', uniqueKeys: false, strict: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const line = error.linePos?.[0].line ?? 1;
    throw badRequestError(`error converting YAML to JSON: yaml: line ${line}: ${firstLine(error.message)}`);
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: aliasesMax });
  } catch (cause) {
    throw badRequestError(`error converting YAML to JSON: yaml: ${firstLine(String((cause as Error).message))}`);
  }
  return { value: toJson(value, 0), duplicates: [] };
}

function firstLine(text: string): string {
  return text.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '');
}

/** YAML has more than JSON: dates become strings, keys are strings, what no JSON can hold is refused. */
function toJson(value: unknown, depth: number): Json {
  if (depth > depthMax) throw badRequestError('error converting YAML to JSON: yaml: exceeded max depth');
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value;
    throw badRequestError(`error converting YAML to JSON: json: unsupported value: ${value}`);
  }
  if (value instanceof Date) return value.toISOString().replace('.000Z', 'Z');
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map((item) => toJson(item, depth + 1));
  if (typeof value === 'object') {
    const entries = value instanceof Map ? [...value] : Object.entries(value);
    const object: Record<string, Json> = Object.create(null);
    for (const [key, item] of entries) object[String(key)] = toJson(item, depth + 1);
    return { ...object };
  }
  throw badRequestError(`error converting YAML to JSON: unsupported value of type ${typeof value}`);
}
