/**
 * `/openapi/v3`, one document for each group and version, and `/openapi/v2`, one for all: JSON, made when first asked for, one document a
 * turn, and kept until the registry changes. Source: handler and handler3 of kube-openapi; KEP-2896.
 */
import { createHash } from 'node:crypto';
import { kinds } from '#api-kube/facts.ts';
import type { Resource } from '#api-kube/resource.ts';
import { type Clock, sleep } from '#std/clock.ts';
import { type HttpResponse, header } from '#transport/http.ts';
import { plain, type RequestContext } from '../pipeline.ts';
import type { ResourceRegistry } from '../registry.ts';
import type { Describe, Json } from './components.ts';
import { documentV2, documentV3 } from './documents.ts';
import { prefixOf } from './operations.ts';

export interface OpenApi {
  /** Answers the paths under `/openapi/v2` and `/openapi/v3`; undefined for others, and for groups that are not served. */
  answer(context: RequestContext): Promise<HttpResponse | undefined>;
}

interface Document {
  readonly body: Buffer;
  /** SHA-512 in upper-case hex. */
  readonly hash: string;
}

/** What was made for one generation of the registry. */
interface Made {
  readonly generation: number;
  /** By path without the leading slash: `api/v1`, `apis/apps/v1`. */
  readonly byGroupVersion: ReadonlyMap<string, Document>;
  v2: Promise<Document> | undefined;
}

export interface OpenApiDeps {
  readonly registry: ResourceRegistry;
  readonly clock: Clock;
  /** What types and fields are for; asked for once, when the first document is made. */
  readonly descriptions: () => Promise<Describe>;
  readonly version: string;
}

const yearMs = 365 * 24 * 3600 * 1000;

export function createOpenApi({ registry, clock, descriptions, version }: OpenApiDeps): OpenApi {
  let current: { readonly generation: number; readonly made: Promise<Made> } | undefined;

  const optionsOf = async () => ({
    describe: await descriptions(),
    version,
    takesStrategicPatch: ({ group, version, kind }: Resource) => kinds[`${group}/${version}/${kind}`] !== undefined,
  });
  const make = async (generation: number): Promise<Made> => {
    const options = await optionsOf();
    const byGroupVersion = new Map<string, Document>();
    for (const [path, resources] of byPath(registry)) {
      byGroupVersion.set(path, documentOf(documentV3(resources, options)));
      await sleep(clock, 0);
    }
    return { generation, byGroupVersion, v2: undefined };
  };
  const made = (): Promise<Made> => {
    const { generation } = registry;
    if (current?.generation !== generation) {
      const own = { generation, made: make(generation) };
      current = own;
      // A failure is told to those who wait now; whoever asks next tries again.
      own.made.catch(() => {
        if (current === own) current = undefined;
      });
    }
    return current.made;
  };
  const v2 = async (): Promise<Document> => {
    const own = await made();
    own.v2 ??= optionsOf().then((options) =>
      documentOf(
        documentV2(
          registry.all().map(({ resource }) => resource),
          options,
        ),
      ),
    );
    return own.v2;
  };

  return {
    async answer({ request, info }) {
      const path = info.path.replace(/(.)\/$/, '$1');
      if (path !== '/openapi/v2' && path !== '/openapi/v3' && !path.startsWith('/openapi/v3/')) return undefined;
      if (path === '/openapi/v3') {
        const index = indexOf((await made()).byGroupVersion);
        return serve(index, header(request.headers, 'if-none-match'), []);
      }
      if (!acceptsJson(header(request.headers, 'accept'))) return plain(406, 'Not Acceptable\n');
      const known = header(request.headers, 'if-none-match');
      if (path === '/openapi/v2') return serve(await v2(), known, []);
      const name = path.slice('/openapi/v3/'.length);
      const document = (await made()).byGroupVersion.get(name);
      if (document === undefined) return undefined;
      const hash = info.query.get('hash');
      if (hash === null) return serve(document, known, [['cache-control', 'no-cache, private']]);
      if (hash !== document.hash)
        return {
          status: 301,
          headers: [['location', locationOf(name, document)]],
          body: Buffer.alloc(0),
        };
      return serve(document, known, [
        ['cache-control', 'public, immutable'],
        ['expires', new Date(clock.now() + yearMs).toUTCString()],
      ]);
    },
  };
}

function byPath(registry: ResourceRegistry): ReadonlyMap<string, Resource[]> {
  const groups = new Map<string, Resource[]>();
  for (const { resource } of registry.all()) {
    const path = prefixOf(resource).slice(1);
    const list = groups.get(path) ?? [];
    groups.set(path, list);
    list.push(resource);
  }
  return new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function documentOf(document: Json): Document {
  const body = Buffer.from(JSON.stringify(document));
  return { body, hash: createHash('sha512').update(body).digest('hex').toUpperCase() };
}

function indexOf(documents: ReadonlyMap<string, Document>): Document {
  const paths = Object.fromEntries(
    [...documents].map(([name, document]) => [name, { serverRelativeURL: locationOf(name, document) }]),
  );
  return documentOf({ paths });
}

const locationOf = (name: string, { hash }: Document) => `/openapi/v3/${name}?hash=${hash}`;

function serve({ body, hash }: Document, known: string | undefined, more: HttpResponse['headers']): HttpResponse {
  const etag = `"${hash}"`;
  const headers: HttpResponse['headers'] = [
    ['content-type', 'application/json'],
    ['etag', etag],
    ['vary', 'Accept'],
    ...more,
  ];
  return known === etag ? { status: 304, headers, body: Buffer.alloc(0) } : { status: 200, headers, body };
}

/** The protobuf forms of the documents are not served; clients that accept JSON as well get that. */
function acceptsJson(accept: string | undefined): boolean {
  if (accept === undefined || accept.trim() === '') return true;
  return accept.split(',').some((clause) => {
    const type = clause.split(';', 1)[0]!.trim().toLowerCase();
    return type === 'application/json' || type === 'application/*' || type === '*/*';
  });
}
