/**
 * Content negotiation: which representation a client accepts, from the header `Accept` (RFC 9110 12.5.1) with the parameters
 * `as`, `g` and `v` by which Kubernetes asks for tables and bare metadata.
 */
import { protobufType } from '#kube-machinery/protobuf-object.ts';
import { notAcceptableError, unsupportedMediaTypeError } from '#kube-machinery/status.ts';

export type Format = 'json' | 'yaml' | 'protobuf';

export interface Representation {
  readonly format: Format;
  /** Object: as stored. Table and PartialObjectMetadata: meta/v1's views. */
  readonly as: 'Object' | 'Table' | 'PartialObjectMetadata';
  readonly pretty: boolean;
}

/** What we write, in upstream's order of preference. */
const formats: readonly { readonly format: Format; readonly type: string }[] = [
  { format: 'json', type: 'application/json' },
  { format: 'yaml', type: 'application/yaml' },
  { format: 'protobuf', type: protobufType },
];
const accepted = formats.map(({ type }) => type);
const clausesMax = 32;

/**
 * @param tables whether the resource has a table and a metadata form (lists, gets, watches of objects do).
 * @throws StatusError NotAcceptable
 */
export function negotiate(accept: string | undefined, pretty: boolean, tables: boolean): Representation {
  if (accept === undefined || accept.trim() === '') return { format: 'json', as: 'Object', pretty };
  if (!accept.includes(';')) return negotiatePlain(accept, pretty);
  const clauses = accept.split(',').slice(0, clausesMax).map(parseClause);
  // A stable sort keeps the client's order among equals.
  clauses.sort((a, b) => b.quality - a.quality);
  for (const { type, parameters } of clauses) {
    const found = formats.find((entry) => matchesType(type, entry.type));
    if (found === undefined) continue;
    const as = parameters.get('as');
    if (as === undefined) return { format: found.format, as: 'Object', pretty };
    const group = parameters.get('g');
    if (!tables || group !== 'meta.k8s.io' || parameters.get('v') !== 'v1') continue;
    if (as === 'Table' && found.format !== 'protobuf') return { format: found.format, as: 'Table', pretty };
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList')
      return { format: found.format, as: 'PartialObjectMetadata', pretty };
  }
  throw notAcceptableError(accepted);
}

/** Types alone: the first that we write. */
function negotiatePlain(accept: string, pretty: boolean): Representation {
  for (const text of accept.split(',', clausesMax)) {
    const type = text.trim().toLowerCase();
    const found = formats.find((entry) => matchesType(type, entry.type));
    if (found !== undefined) return { format: found.format, as: 'Object', pretty };
  }
  throw notAcceptableError(accepted);
}

function matchesType(pattern: string, type: string): boolean {
  return pattern === type || pattern === '*/*' || (pattern.endsWith('/*') && type.startsWith(pattern.slice(0, -1)));
}

interface Clause {
  readonly type: string;
  readonly quality: number;
  readonly parameters: ReadonlyMap<string, string>;
}

function parseClause(text: string): Clause {
  const [type = '', ...rest] = text.split(';').map((part) => part.trim());
  const parameters = new Map<string, string>();
  for (const parameter of rest) {
    const equals = parameter.indexOf('=');
    if (equals > 0) parameters.set(parameter.slice(0, equals).toLowerCase(), parameter.slice(equals + 1));
  }
  const quality = Number(parameters.get('q') ?? 1);
  return { type: type.toLowerCase(), quality: Number.isFinite(quality) ? quality : 0, parameters };
}

/** The format of a request's body. @throws StatusError UnsupportedMediaType */
export function bodyFormat(contentType: string | undefined): Format {
  if (contentType === undefined || contentType === '') return 'json';
  const { type } = parseClause(contentType);
  const found = formats.find((entry) => entry.type === type);
  if (found === undefined) throw unsupportedMediaTypeError(accepted);
  return found.format;
}

export function contentTypeOf(representation: Pick<Representation, 'format'>): string {
  return formats.find(({ format }) => format === representation.format)!.type;
}
