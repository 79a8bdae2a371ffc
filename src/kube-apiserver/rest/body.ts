/** A request's body: collected within its limit, parsed from its format, decoded as the resource's kind. */

import { kinds } from '#api-kube/facts.ts';
import { apiVersionOf } from '#api-kube/resource.ts';
import { decodeProtobufObject } from '#kube-machinery/protobuf-object.ts';
import { decodeFailure, strictDecodingProblem } from '#kube-machinery/schema.ts';
import { badRequestError, tooLargeError } from '#kube-machinery/status.ts';
import { type Json, JsonError, parseJson } from '#kube-machinery/strict-json.ts';
import { parseYaml } from '#kube-machinery/yaml.ts';
import { type HttpRequest, header } from '#transport/http.ts';
import type { KubeObject } from '../object.ts';
import type { FieldValidation, ServedResource } from '../registry.ts';
import { bodyFormat } from '../serialize/media.ts';
import type { RestScope } from './scope.ts';

/** Upstream's --max-request-body-bytes. */
export const bodyBytesMax = 3 << 20;

/** @throws StatusError RequestEntityTooLarge */
export async function readBody(request: HttpRequest): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body) {
    length += chunk.length;
    if (length > bodyBytesMax) throw tooLargeError(`Request entity too large: limit is ${bodyBytesMax}`);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? Buffer.from(chunks[0]!) : Buffer.concat(chunks);
}

export interface ParsedBody {
  readonly value: Json;
  /** Paths of fields that stand twice. */
  readonly duplicates: readonly string[];
}

/** @throws StatusError BadRequest, UnsupportedMediaType */
export function parseBody(body: Buffer, contentType: string | undefined, kind: string): ParsedBody {
  const format = bodyFormat(contentType);
  if (format === 'protobuf') return { value: decodeProtobufObject(body), duplicates: [] };
  const text = body.toString('utf8');
  if (format === 'yaml') return parseYaml(text);
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw badRequestError(
      `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: ${error.message} (${excerpt(body)})`,
    );
  }
}

/** The body as an object of the resource's kind, in the served version. @throws StatusError */
export async function readObject(scope: RestScope): Promise<KubeObject> {
  const { request, served, info, warnings } = scope;
  const body = await readBody(request);
  const { kind } = served.resource;
  const parsed = parseBody(body, header(request.headers, 'content-type'), kind);
  return decodeObject(served, parsed, fieldValidationOf(info.query), (message) => warnings.push(message), body);
}

/** @throws StatusError BadRequest */
export function decodeObject(
  served: ServedResource,
  parsed: ParsedBody,
  mode: FieldValidation,
  warn: (message: string) => void,
  body?: Buffer,
): KubeObject {
  const { group, version, kind } = served.resource;
  const { value } = parsed;
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw badRequestError(
      `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: json: cannot unmarshal ${jsonType(value)} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (${excerpt(body ?? Buffer.from(JSON.stringify(value)))})`,
    );
  const object = value as Readonly<Record<string, unknown>>;
  const expected = group === '' ? version : `${group}/${version}`;
  // What is left out is what the path says.
  checkType(String(object['apiVersion'] || expected), String(object['kind'] || kind), served);
  const duplicates =
    mode === 'Ignore' ? [] : parsed.duplicates.map((path) => `duplicate field ${JSON.stringify(path)}`);
  const problems = [...duplicates];
  const decoded = served.decode(
    { ...object, apiVersion: expected, kind },
    // Duplicates and unknown fields are told together.
    mode === 'Strict' ? 'Warn' : mode,
    (problem) => problems.push(problem),
  );
  if (mode === 'Strict' && problems.length > 0) throw decodeFailure(kind, version, strictDecodingProblem(problems));
  for (const problem of problems) warn(problem);
  const { metadata } = decoded;
  return metadata === undefined || metadata === null ? { ...decoded, metadata: {} } : decoded;
}

/** The object is of the kind, and in the version, that the path is for. @throws StatusError BadRequest */
function checkType(apiVersion: string, kind: string, { resource }: ServedResource): void {
  const expected = apiVersionOf(resource);
  if (apiVersion === expected && kind === resource.kind) return;
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  const as = (why: string) =>
    badRequestError(`${kind} in version ${JSON.stringify(version)} cannot be handled as a ${resource.kind}: ${why}`);
  if (kinds[`${group}/${version}/${kind}`] === undefined && !(kind === resource.kind && group === resource.group))
    throw as(
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/api/legacyscheme/scheme.go:30"`,
    );
  if (kind === resource.kind)
    throw badRequestError(
      `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`,
    );
  const internal = (resource.storedAs ?? resource).group.split('.')[0] || 'core';
  throw as(`converting (${version}.${kind}) to (${internal}.${resource.kind}): unknown conversion`);
}

/** The options of the write were looked at before: a value that is none does not come here. */
export function fieldValidationOf(query: URLSearchParams): FieldValidation {
  const value = query.get('fieldValidation') ?? '';
  return value === 'Strict' || value === 'Ignore' ? value : 'Warn';
}

const excerptBytes = 30;

/** What begins as JSON is shown as text, anything else in hexadecimal. Source: summarizeData of k8s.io/apiserver. */
function excerpt(body: Buffer): string {
  if (body.length === 0) return '<empty>';
  const start = body.subarray(0, excerptBytes).toString(body[0] === 0x7b ? 'utf8' : 'hex');
  return body.length > excerptBytes ? `${start} ...` : start;
}

export function jsonType(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
}
