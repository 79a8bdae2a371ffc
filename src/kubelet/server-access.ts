/**
 * Who may call the kubelet's API on its port: client certificates and bearer tokens tell who asks, the apiserver says whether they may. Upstream's
 * webhook mode, with the fine-grained subresources of KEP-2862; anonymous callers are refused.
 */
import type { KubeClient } from '#kube-client/client.ts';
import type { ApiObject, ResourceRef } from '#kube-client/resource-ref.ts';
import type { Clock } from '#std/clock.ts';
import { type HttpHandler, type HttpRequest, type HttpResponse, header } from '#transport/http.ts';

export interface AccessDeps {
  /** As the node: may create token reviews and subject access reviews. */
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly nodeName: string;
  readonly log: (message: string, error?: unknown) => void;
}

interface User {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

interface TokenReview extends ApiObject {
  readonly spec: { readonly token: string };
  readonly status?: { readonly authenticated?: boolean; readonly user?: Partial<User>; readonly error?: string };
}

interface SubjectAccessReview extends ApiObject {
  readonly spec: object;
  readonly status?: { readonly allowed?: boolean; readonly reason?: string };
}

const tokenReviews: ResourceRef = {
  ...{ group: 'authentication.k8s.io', version: 'v1', resource: 'tokenreviews' },
  ...{ kind: 'TokenReview', namespaced: false },
};
const accessReviews: ResourceRef = {
  ...{ group: 'authorization.k8s.io', version: 'v1', resource: 'subjectaccessreviews' },
  ...{ kind: 'SubjectAccessReview', namespaced: false },
};

const authenticated = 'system:authenticated';
/** Upstream's figures. */
const tokenTtlMs = 120_000;
const allowedTtlMs = 300_000;
const deniedTtlMs = 30_000;
/** Answers that are remembered, of each kind. */
export const rememberedMax = 1000;

/** Lets through to `handler` who may. */
export function withAccess(handler: HttpHandler, deps: AccessDeps): HttpHandler {
  const { client, clock, nodeName, log } = deps;
  const tokens = new Remembered<User | undefined>(clock);
  const decisions = new Remembered<boolean>(clock);

  async function userOf(request: HttpRequest): Promise<User | undefined> {
    const { certificate } = request.peer;
    if (certificate !== undefined)
      return { username: certificate.commonName, groups: [...certificate.organizations, authenticated] };
    const token = /^bearer +(\S+)$/i.exec(header(request.headers, 'authorization') ?? '')?.[1];
    if (token === undefined) return undefined;
    const known = tokens.get(token);
    if (known !== undefined) return known.value;
    const { status } = await client
      .resource<TokenReview>(tokenReviews)
      .create({ metadata: { name: '' }, spec: { token } });
    const user =
      status?.authenticated === true
        ? { ...status.user, username: status.user?.username ?? '', groups: status.user?.groups ?? [] }
        : undefined;
    tokens.set(token, user, tokenTtlMs);
    return user;
  }

  async function allowed(user: User, verb: string, subresource: string): Promise<boolean> {
    const { username, uid, groups, extra } = user;
    const key = JSON.stringify([username, uid, groups, extra, verb, subresource]);
    const known = decisions.get(key);
    if (known !== undefined) return known.value;
    const { status } = await client.resource<SubjectAccessReview>(accessReviews).create({
      metadata: { name: '' },
      spec: {
        user: username,
        ...(uid !== undefined && { uid }),
        groups,
        ...(extra !== undefined && { extra }),
        resourceAttributes: { verb, version: 'v1', resource: 'nodes', subresource, name: nodeName },
      },
    });
    const value = status?.allowed === true;
    decisions.set(key, value, value ? allowedTtlMs : deniedTtlMs);
    return value;
  }

  return async (request) => {
    let user: User | undefined;
    try {
      user = await userOf(request);
    } catch (error) {
      log('kubelet: unable to authenticate the request', error);
    }
    if (user === undefined) return text(401, 'Unauthorized');
    const verb = verbs[request.method] ?? '';
    const subresources = subresourcesOf(request.target.split('?')[0]!);
    try {
      for (const subresource of subresources) if (await allowed(user, verb, subresource)) return await handler(request);
    } catch (error) {
      if (request.signal.aborted) throw error;
      log('kubelet: authorization', error);
      return text(
        500,
        `Authorization error (user=${user.username}, verb=${verb}, resource=nodes, subresource(s)=[${subresources.join(' ')}])`,
      );
    }
    return text(
      403,
      `Forbidden (user=${user.username}, verb=${verb}, resource=nodes, subresource(s)=[${subresources.join(' ')}])\n`,
    );
  };
}

const verbs: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Any one of them is enough; `proxy` stands for everything. */
function subresourcesOf(path: string): readonly string[] {
  const under = (folder: string) => path === folder || path.startsWith(`${folder}/`);
  if (under('/stats')) return ['stats'];
  if (under('/metrics')) return ['metrics'];
  if (under('/logs')) return ['log'];
  if (under('/checkpoint')) return ['checkpoint'];
  if (under('/pods') || under('/runningpods')) return ['pods', 'proxy'];
  if (under('/healthz')) return ['healthz', 'proxy'];
  if (under('/configz')) return ['configz', 'proxy'];
  return ['proxy'];
}

function text(status: number, message: string): HttpResponse {
  return { status, headers: [['content-type', 'text/plain; charset=utf-8']], body: Buffer.from(message) };
}

/** Answers for a while; the oldest make room. */
class Remembered<V> {
  readonly #clock: Clock;
  readonly #entries = new Map<string, { readonly value: V; readonly untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: string): { readonly value: V } | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && this.#clock.monotonicMs() < entry.untilMs ? entry : undefined;
  }

  set(key: string, value: V, ttlMs: number): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, untilMs: this.#clock.monotonicMs() + ttlMs });
    if (this.#entries.size > rememberedMax) this.#entries.delete(this.#entries.keys().next().value!);
  }
}
