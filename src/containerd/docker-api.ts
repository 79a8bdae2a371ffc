/**
 * Images over HTTP, as the Docker Engine API has them, on the daemon's socket beside the CRI: list, load, tag away. The CRI has no call that brings an image in
 * from a file. What else that API has answers 404, as Docker does for what it does not know. https://docs.docker.com/reference/api/engine/
 */
import { ContentError } from '#image/error.ts';
import type { HttpHandler, HttpRequest, HttpResponse } from '#transport/http.ts';
import type { ImageService, NamedImage } from './images/image-service.ts';

const apiVersion = '1.41';

/** Answers for `images`. */
export function dockerApi(images: ImageService): HttpHandler {
  return async (request) => {
    const url = new URL(request.target, 'http://daemon');
    const path = url.pathname.replace(/^\/v\d+\.\d+(?=\/)/, '');
    try {
      return (await route(images, request, path, url.searchParams)) ?? answer(404, { message: 'page not found' });
    } catch (error) {
      if (error instanceof ContentError) return answer(statuses[error.code] ?? 500, { message: error.message });
      throw error;
    }
  };
}

const statuses: Readonly<Record<string, number>> = {
  NotFound: 404,
  InvalidArgument: 400,
  AlreadyExists: 409,
  FailedPrecondition: 409,
};

async function route(
  images: ImageService,
  request: HttpRequest,
  path: string,
  query: URLSearchParams,
): Promise<HttpResponse | undefined> {
  const { method } = request;
  if (path === '/_ping' && (method === 'GET' || method === 'HEAD')) return ping(method);
  if (path === '/images/json' && method === 'GET') return answer(200, (await images.list()).map(summary));
  if (path === '/images/load' && method === 'POST') return load(images, request, query);
  const name = /^\/images\/(.+)$/.exec(path)?.[1];
  if (name !== undefined && method === 'DELETE') return remove(images, decodeURIComponent(name));
  return undefined;
}

function ping(method: string): HttpResponse {
  return {
    status: 200,
    headers: [
      ['api-version', apiVersion],
      ['ostype', 'linux'],
      ['content-type', 'text/plain; charset=utf-8'],
    ],
    body: Buffer.from(method === 'HEAD' ? '' : 'OK'),
  };
}

function summary(image: NamedImage) {
  return {
    Id: image.id,
    ParentId: '',
    RepoTags: image.tags,
    RepoDigests: image.digests,
    // RFC 3339 in the image, seconds since 1970 here.
    Created: image.config.created === undefined ? 0 : Math.floor(Date.parse(image.config.created) / 1000),
    Size: image.size,
    SharedSize: -1,
    VirtualSize: image.size,
    Labels: image.config.config.Labels ?? {},
    Containers: -1,
  };
}

/** `name` is ours: what an image that the archive does not name shall be called. */
async function load(images: ImageService, request: HttpRequest, query: URLSearchParams): Promise<HttpResponse> {
  const name = query.get('name');
  const loaded = await images.import(request.body, {
    ...(name === null || name === '' ? {} : { name }),
    signal: request.signal,
  });
  const lines = loaded.flatMap(({ id, tags }) =>
    tags.length === 0 ? [`Loaded image ID: ${id}`] : tags.map((tag) => `Loaded image: ${tag}`),
  );
  return {
    status: 200,
    headers: [['content-type', 'application/json']],
    body: Buffer.from(lines.map((line) => `${JSON.stringify({ stream: `${line}\n` })}\n`).join('')),
  };
}

async function remove(images: ImageService, name: string): Promise<HttpResponse> {
  const image = await images.find(name);
  if (image === undefined) throw new ContentError('NotFound', `No such image: ${name}`);
  const byId = image.id === name || image.id.slice(7).startsWith(name.replace(/^sha256:/, ''));
  if (byId) await images.remove(image.id);
  else await images.untag(name);
  const gone = (await images.find(image.id)) === undefined;
  const removed = byId ? image.tags.map((tag) => ({ Untagged: tag })) : [{ Untagged: name }];
  return answer(200, [...removed, ...(gone ? [{ Deleted: image.id }] : [])]);
}

function answer(status: number, value: unknown): HttpResponse {
  return {
    status,
    headers: [['content-type', 'application/json']],
    body: Buffer.from(`${JSON.stringify(value)}\n`),
  };
}
