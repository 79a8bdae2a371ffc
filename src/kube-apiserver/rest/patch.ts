/** `PATCH`: a JSON patch, a merge patch or a strategic merge patch, applied to the object as it is stored and then treated as an update. */
import { invalid } from '#kube-machinery/field-error.ts';
import { applyJsonPatch, JsonPatchError, type Operation } from '#kube-machinery/json-patch.ts';
import { applyMergePatch } from '#kube-machinery/merge-patch.ts';
import { DecodeProblem } from '#kube-machinery/schema.ts';
import {
  badRequestError,
  failure,
  invalidError,
  StatusError,
  tooLargeError,
  unsupportedMediaTypeError,
} from '#kube-machinery/status.ts';
import { applyStrategicMergePatch, StrategicPatchError } from '#kube-machinery/strategic-merge-patch.ts';
import { type Json, JsonError, parseJson } from '#kube-machinery/strict-json.ts';
import { type HttpResponse, header } from '#transport/http.ts';
import type { KubeObject } from '../object.ts';
import { asAddressed } from './address.ts';
import { decodeObject, fieldValidationOf, jsonType, type ParsedBody, readBody } from './body.ts';
import { writeOptionsOf } from './options.ts';
import { type RestScope, respondObject, servedForm, storedForm } from './scope.ts';
import { updateStored } from './update.ts';

const types = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
} as const;

/** Operations of one JSON patch. */
const operationsMax = 10_000;

export async function patch(scope: RestScope): Promise<HttpResponse> {
  patchTypeOf(scope);
  const dryRun = writeOptionsOf(scope.info.query, 'PatchOptions');
  const change = await patchOf(scope);
  const result = await updateStored(scope, (current) => patched(scope, change, current), dryRun, false);
  return respondObject(scope, 200, servedForm(scope, result.object));
}

export interface Patch {
  /** The object, in the served version, as it is to be. @throws StatusError */
  readonly apply: (object: KubeObject) => Json;
  /** Of the request's body: paths of fields that stand twice. */
  readonly duplicates: readonly string[];
  readonly strategic: boolean;
  /** What a refusal shows of it. @param result what {@link apply} returned */
  readonly shown: (result: Json) => string;
}

/** Reads the request's patch. @throws StatusError */
export async function patchOf(scope: RestScope): Promise<Patch> {
  const { request, served } = scope;
  const type = patchTypeOf(scope);
  const { value, duplicates } = patchBody(await readBody(request));
  const decoding = type === types.strategic ? '' : 'error decoding patch: ';
  const applied = { duplicates, strategic: false, shown: (result: Json) => JSON.stringify(result) };
  if (type === types.json) {
    if (!Array.isArray(value))
      throw badRequestError(
        `${decoding}json: cannot unmarshal ${jsonType(value)} into Go value of type []handlers.jsonPatchOp`,
      );
    if (value.length > operationsMax)
      throw tooLargeError(
        `Request entity too large: The allowed maximum operations in a JSON patch is ${operationsMax}, got ${value.length}`,
      );
    const apply = (object: KubeObject) => {
      try {
        return applyJsonPatch(object, value as unknown as readonly Operation[]) as Json;
      } catch (error) {
        if (!(error instanceof JsonPatchError)) throw error;
        throw failure(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
      }
    };
    return { ...applied, apply };
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw badRequestError(
      `${decoding}json: cannot unmarshal ${jsonType(value)} into Go value of type map[string]interface {}`,
    );
  if (type === types.merge) return { ...applied, apply: (object) => applyMergePatch(object, value) as Json };
  const apply = (object: KubeObject) => {
    try {
      return applyStrategicMergePatch(
        object as unknown as Record<string, unknown>,
        value as Record<string, unknown>,
        served.patchSchema!(),
      ) as Json;
    } catch (error) {
      if (!(error instanceof StrategicPatchError)) throw error;
      throw badRequestError(error.message);
    }
  };
  return { apply, duplicates, strategic: true, shown: () => goText(value) };
}

/** Told before anything of the patch is read. @throws StatusError UnsupportedMediaType */
function patchTypeOf({ request, served }: RestScope): string {
  const type = (header(request.headers, 'content-type') ?? '').split(';')[0]!.trim();
  const accepted: readonly string[] = served.patchSchema
    ? [types.json, types.merge, types.strategic]
    : [types.json, types.merge];
  if (!accepted.includes(type)) throw unsupportedMediaTypeError(accepted);
  return type;
}

function patchBody(body: Buffer): ParsedBody {
  try {
    return parseJson(body.toString('utf8'));
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw badRequestError('invalid JSON patch');
  }
}

function patched(scope: RestScope, change: Patch, current: KubeObject): KubeObject {
  const { info, served, warnings } = scope;
  const value = change.apply(servedForm(scope, current));
  const seen = new Set(warnings);
  try {
    const parsed = { value, duplicates: change.duplicates };
    const object = decodeObject(served, parsed, fieldValidationOf(info.query), (message) => {
      if (!seen.has(message)) warnings.push(message);
    });
    return asAddressed(scope, storedForm(scope, object));
  } catch (error) {
    if (!(error instanceof StatusError && error.cause instanceof DecodeProblem)) throw error;
    const { message, conversionMessage } = error.cause;
    throw invalidError('', '', '', [
      invalid('patch', change.shown(value), change.strategic ? conversionMessage : message),
    ]);
  }
}

/** A value as Go's `%+v` prints it: `map[spec:map[replicas:3]]`. */
export function goText(value: Json): string {
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (typeof value !== 'object') return String(value);
  const entries = Object.entries(value as Readonly<Record<string, Json>>).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${entries.map(([key, item]) => `${key}:${goText(item)}`).join(' ')}]`;
}
