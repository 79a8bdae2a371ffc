/** `PATCH`: a JSON patch, a merge patch or a strategic merge patch, applied to the object as it is stored and then treated as an update. */
import { applyJsonPatch, JsonPatchError, type Operation } from '#kube-machinery/json-patch.ts';
import { applyMergePatch } from '#kube-machinery/merge-patch.ts';
import { badRequestError, failure, unsupportedMediaTypeError } from '#kube-machinery/status.ts';
import { applyStrategicMergePatch, StrategicPatchError } from '#kube-machinery/strategic-merge-patch.ts';
import type { Json } from '#kube-machinery/strict-json.ts';
import { type HttpResponse, header } from '#transport/http.ts';
import type { KubeObject } from '../object.ts';
import { decodeObject, fieldValidationOf, parseBody, readBody } from './body.ts';
import { dryRunOf } from './options.ts';
import { type RestScope, respondObject, servedForm, storedForm } from './scope.ts';
import { updateStored } from './update.ts';

const types = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
} as const;

export async function patch(scope: RestScope): Promise<HttpResponse> {
  const dryRun = dryRunOf(scope.info.query.getAll('dryRun'), 'PatchOptions');
  const apply = await patchOf(scope);
  const result = await updateStored(scope, (current) => patched(scope, apply, current), dryRun, false);
  return respondObject(scope, 200, servedForm(scope, result.object));
}

/** A patch as a function of the object in the served version. @throws StatusError */
export type Patch = (object: KubeObject) => Json;

/** Reads the request's patch. @throws StatusError */
export async function patchOf({ request, served }: RestScope): Promise<Patch> {
  const type = (header(request.headers, 'content-type') ?? '').split(';')[0]!.trim();
  const accepted = served.patchSchema ? [types.json, types.merge, types.strategic] : [types.json, types.merge];
  if (!(accepted as readonly string[]).includes(type)) throw unsupportedMediaTypeError(accepted);
  const body = await readBody(request);
  const { value } = parseBody(body, 'application/json');
  if (type === types.json) {
    if (!Array.isArray(value))
      throw badRequestError(
        'error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch',
      );
    return (object) => {
      try {
        return applyJsonPatch(object, value as unknown as readonly Operation[]) as Json;
      } catch (error) {
        if (!(error instanceof JsonPatchError)) throw error;
        throw failure(422, 'Invalid', 'the server rejected our request due to an error in our request', {
          causes: [{ reason: 'UnexpectedServerResponse', message: error.message }],
        });
      }
    };
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw badRequestError(
      'error decoding patch: json: cannot unmarshal value into Go value of type map[string]interface {}',
    );
  if (type === types.merge) return (object) => applyMergePatch(object, value) as Json;
  return (object) => {
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
}

function patched(scope: RestScope, apply: Patch, current: KubeObject): KubeObject {
  const { info, served, warnings } = scope;
  const value = apply(servedForm(scope, current));
  const seen = new Set(warnings);
  const object = decodeObject(served, { value, duplicates: [] }, fieldValidationOf(info.query), (message) => {
    if (!seen.has(message)) warnings.push(message);
  });
  return storedForm(scope, object);
}
