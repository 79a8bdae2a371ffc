/**
 * A repository on a registry, over the OCI distribution protocol: manifests by tag or digest, blobs by digest, mirrors before the registry
 * itself. Broken downloads go on where they stopped. https://github.com/opencontainers/distribution-spec
 */
import { type Digest, digestAlgorithm, isDigest } from '#api-oci/digest.ts';
import { type Descriptor, MediaType } from '#api-oci/image-spec.ts';
import { manifestBytesMax } from '#api-oci/parse-image.ts';
import { type Clock, sleep } from '#std/clock.ts';
import { digestOf } from '../content-store.ts';
import { ContentError } from '../error.ts';
import type { Reference } from '../reference.ts';
import { authorize, type Challenge, parseChallenges } from './authorization.ts';
import { RegistryHttp, type RegistryResponse, readBody } from './http.ts';
import type { RegistryAuth, Repository } from './repository.ts';

export interface RegistryOptions {
  /** Base URLs asked first, by the domain of a reference: `{'docker.io': ['http://127.0.0.1:5000']}`. */
  readonly mirrors?: Readonly<Record<string, readonly string[]>>;
  /** Domains spoken to without TLS, besides loopback's. */
  readonly plainHttp?: readonly string[];
  /** PEM of authorities that registries' certificates are verified against, instead of the system's. */
  readonly certificateAuthority?: string;
}

const accept = [MediaType.dockerManifest, MediaType.dockerIndex, MediaType.ociManifest, MediaType.ociIndex, '*/*'].join(
  ', ',
);
/** Attempts at a blob without a byte of progress in between. */
const attemptsMax = 5;
const firstPauseMs = 100;

/** How repositories are opened. Connections are kept for a while and hold nothing up. */
export function openRepository(
  options: RegistryOptions & { readonly clock: Clock },
): (reference: Reference, auth: RegistryAuth | undefined) => Repository {
  const http = new RegistryHttp(options.clock, options.certificateAuthority);
  return ({ domain, path }, auth = {}) => {
    const bases = [...(options.mirrors?.[domain] ?? []), originOf(domain, options.plainHttp ?? [])];
    const hosts = bases.map((base) => new RegistryHost(http, `${base.replace(/\/$/, '')}/v2/${path}`, path, auth));
    return new RegistryRepository(hosts, options.clock);
  };
}

/** Docker Hub's registry has a name of its own; loopback is spoken to without TLS, as containerd does. */
function originOf(domain: string, plainHttp: readonly string[]): string {
  if (domain === 'docker.io') return 'https://registry-1.docker.io';
  const host = domain.replace(/:\d+$/, '');
  const plain = host === 'localhost' || /^127\.\d+\.\d+\.\d+$/.test(host) || host === '[::1]';
  return `${plain || plainHttp.includes(domain) ? 'http' : 'https'}://${domain}`;
}

class RegistryRepository implements Repository {
  readonly #hosts: readonly RegistryHost[];
  readonly #clock: Clock;

  constructor(hosts: readonly RegistryHost[], clock: Clock) {
    this.#hosts = hosts;
    this.#clock = clock;
  }

  manifest(tagOrDigest: string, signal?: AbortSignal) {
    return this.#first((host) => readManifest(host, tagOrDigest, signal));
  }

  async *blob(digest: Digest, size: number, offset: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    let at = offset;
    let failures = 0;
    let pauseMs = firstPauseMs;
    for (;;) {
      try {
        const response = await this.#first((host) => requestBlob(host, digest, at, signal));
        // A registry that does not know ranges sends all of it again.
        let skip = response.status === 206 ? 0 : at;
        for await (const piece of response.body as AsyncIterable<Buffer>) {
          const fresh = skip >= piece.length ? undefined : piece.subarray(skip);
          skip = Math.max(0, skip - piece.length);
          if (fresh === undefined) continue;
          at += fresh.length;
          failures = 0;
          pauseMs = firstPauseMs;
          yield fresh;
        }
        if (at >= size) return;
        throw new ContentError('Unavailable', `failed to copy: httpReadSeeker: failed open: unexpected EOF`);
      } catch (error) {
        signal?.throwIfAborted();
        const lasting = error instanceof ContentError && error.code !== 'Unavailable';
        if (lasting || ++failures === attemptsMax) throw error instanceof ContentError ? error : broken(error);
        await sleep(this.#clock, pauseMs, signal);
        pauseMs *= 2;
      }
    }
  }

  /** The first host's answer that is one; when none answers, what the last one said: it is the registry itself. */
  async #first<T>(ask: (host: RegistryHost) => Promise<T>): Promise<T> {
    for (const host of this.#hosts.slice(0, -1))
      try {
        return await ask(host);
      } catch (error) {
        if (!(error instanceof ContentError)) throw error;
      }
    return ask(this.#hosts.at(-1)!);
  }
}

async function readManifest(
  host: RegistryHost,
  tagOrDigest: string,
  signal?: AbortSignal,
): Promise<{ readonly descriptor: Descriptor; readonly bytes: Buffer }> {
  const headers = { accept };
  let digest = isDigest(tagOrDigest) ? tagOrDigest : undefined;
  if (digest === undefined) {
    // Asking costs no pull where pulls are counted, and says which bytes the tag means now.
    const head = await host.send({ method: 'HEAD', path: `/manifests/${tagOrDigest}`, headers, signal });
    head.body.resume();
    expect(head, 'HEAD', [200]);
    const named = head.headers['docker-content-digest'];
    if (typeof named === 'string' && isDigest(named)) digest = named;
  }
  const response = await host.send({ method: 'GET', path: `/manifests/${digest ?? tagOrDigest}`, headers, signal });
  expect(response, 'GET', [200]);
  const bytes = await readBody(response, manifestBytesMax);
  const actual = digestOf(bytes, digest === undefined ? 'sha256' : digestAlgorithm(digest));
  if (digest !== undefined && actual !== digest)
    throw new ContentError('DataLoss', `manifest ${digest}: the registry sent ${actual}`);
  const mediaType = mediaTypeOf(response, bytes);
  return { descriptor: { mediaType, digest: actual, size: bytes.length }, bytes };
}

async function requestBlob(host: RegistryHost, digest: Digest, offset: number, signal?: AbortSignal) {
  const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
  const response = await host.send({ method: 'GET', path: `/blobs/${digest}`, headers, signal });
  expect(response, 'GET', offset === 0 ? [200] : [200, 206]);
  return response;
}

/** What the bytes say they are comes before what the server calls them. */
function mediaTypeOf(response: RegistryResponse, bytes: Buffer): string {
  const header = response.headers['content-type'];
  const named = typeof header === 'string' ? header.split(';')[0]!.trim() : '';
  try {
    const { mediaType, manifests } = JSON.parse(bytes.toString()) as { mediaType?: unknown; manifests?: unknown };
    if (typeof mediaType === 'string' && mediaType !== '') return mediaType;
    if (named.startsWith('application/vnd.')) return named;
    return manifests === undefined ? MediaType.ociManifest : MediaType.ociIndex;
  } catch (error) {
    throw new ContentError('InvalidArgument', `${response.url}: the manifest is not JSON`, error);
  }
}

/** Throws what containerd says about another status. */
function expect(response: RegistryResponse, method: string, statuses: readonly number[]): void {
  const { status, url } = response;
  if (statuses.includes(status)) return;
  response.body.resume();
  const text = `unexpected status from ${method} request to ${url}: ${status} ${response.body.statusMessage ?? ''}`;
  if (status === 404) throw new ContentError('NotFound', `${url}: not found`);
  if (status === 401)
    throw new ContentError(
      'Unauthenticated',
      'pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials',
    );
  if (status === 403)
    throw new ContentError(
      'PermissionDenied',
      'pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed',
    );
  throw new ContentError(status >= 500 || status === 429 ? 'Unavailable' : 'Unknown', text);
}

function broken(error: unknown): ContentError {
  return new ContentError('Unavailable', `failed to copy: ${error instanceof Error ? error.message : error}`, error);
}

/** One host and the right to read one repository there. */
class RegistryHost {
  readonly #http: RegistryHttp;
  readonly #base: string;
  readonly #scope: string;
  readonly #auth: RegistryAuth;
  #authorization: string | undefined;

  constructor(http: RegistryHttp, base: string, path: string, auth: RegistryAuth) {
    this.#http = http;
    this.#base = base;
    this.#scope = `repository:${path}:pull`;
    this.#auth = auth;
  }

  /** Proves itself when asked to, and once more when the proof has grown old. */
  async send(request: {
    readonly method: 'GET' | 'HEAD';
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly signal?: AbortSignal | undefined;
  }): Promise<RegistryResponse> {
    const { method, path, headers, signal } = request;
    const url = `${this.#base}${path}`;
    for (let attempt = 0; ; attempt++) {
      const used = this.#authorization;
      const response = await this.#http.send({
        method,
        url,
        headers: { ...headers, ...(used === undefined ? {} : { authorization: used }) },
        signal,
      });
      if (response.status !== 401 || attempt === 1) return response;
      const challenges = challengesOf(response);
      response.body.resume();
      // Another request of this pull may have got a fresh token meanwhile.
      if (this.#authorization === used)
        this.#authorization = await authorize(this.#http, challenges, this.#auth, this.#scope, signal);
      if (this.#authorization === undefined) return response;
    }
  }
}

function challengesOf({ headers }: RegistryResponse): Challenge[] {
  const header = headers['www-authenticate'];
  return header === undefined ? [] : [header].flat().flatMap(parseChallenges);
}
