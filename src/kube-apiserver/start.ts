/**
 * Starts an apiserver: wires store, cache, registry, stages and verbs, top to bottom. It opens no port: what it gives is a function from
 * requests to answers, which a listener or a client in the same process calls.
 */
import { resources } from '#api-kube/resources.ts';
import { createEtcdClient, prefixEnd } from '#etcd-client/client.ts';
import { noSuchPathError } from '#kube-machinery/status.ts';
import type { TokenSigner } from '#pki/token-signer.ts';
import type { Channel } from '#rpc/call.ts';
import { utf8Encode } from '#std/bytes.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import type { HttpHandler } from '#transport/http.ts';
import { certificateApproval } from './admission/certificate-approval.ts';
import { certificateSigning } from './admission/certificate-signing.ts';
import { certificateSubjectRestriction } from './admission/certificate-subject-restriction.ts';
import { defaultIngressClass } from './admission/default-ingress-class.ts';
import { defaultTolerationSeconds } from './admission/default-toleration-seconds.ts';
import { limitRanger } from './admission/limit-ranger.ts';
import { namespaceLifecycle } from './admission/namespace-lifecycle.ts';
import { nodeRestriction } from './admission/node-restriction.ts';
import { priority } from './admission/priority.ts';
import { serviceAccount } from './admission/service-account.ts';
import { taintNodesByCondition } from './admission/taint-nodes-by-condition.ts';
import type { AdmissionPlugin } from './admission.ts';
import { bearerToken, clientCertificate, component, createAuthentication } from './authentication/authenticators.ts';
import { impersonation } from './authentication/impersonation.ts';
import { serviceAccountTokens } from './authentication/service-account-token.ts';
import { rbacEscalation } from './authorization/escalation.ts';
import { forbiddenRequest } from './authorization/forbidden.ts';
import { nodeAuthorizer } from './authorization/node.ts';
import { createNodeGraph } from './authorization/node-graph.ts';
import { createRbac } from './authorization/rbac.ts';
import { firstOf } from './authorization/union.ts';
import { bootstrap } from './bootstrap/bootstrap.ts';
import { nodeRules } from './bootstrap/cluster-roles.ts';
import { createDiscovery } from './discovery/discovery.ts';
import { answerHealth, type Check } from './health.ts';
import { LeasePool } from './lease-pool.ts';
import { createOpenApi } from './openapi/openapi.ts';
import { createPipeline, type Handler, type RequestContext, type Stage } from './pipeline.ts';
import type { ObjectReader } from './reader.ts';
import { ResourceRegistry } from './registry.ts';
import { requestTimeout, requestTimeoutMs } from './request-timeout.ts';
import { BookmarkTimer } from './rest/bookmark-timer.ts';
import { dispatch } from './rest/dispatch.ts';
import type { RecordedWrite, RestDeps } from './rest/scope.ts';
import { EncodedMemo } from './serialize/encoded-memo.ts';
import { encodeValue } from './serialize/representation.ts';
import { servedResource } from './served-resource.ts';
import { createAddressAllocator } from './service-ip/address-allocator.ts';
import { createNodePortAllocator } from './service-ip/node-port-allocator.ts';
import { parseRange } from './service-ip/range.ts';
import { repairServiceAllocations } from './service-ip/repair.ts';
import { cacheReader } from './storage/cache-reader.ts';
import { createObjectStore } from './storage/object-store.ts';
import { WatchCache } from './storage/watch-cache.ts';
import { serviceStrategy } from './strategies/service.ts';
import { type KubeletClientTls, kubeletsByAddress } from './subresources/kubelet-by-address.ts';
import type { KubeletDialer } from './subresources/kubelet-proxy.ts';
import { createSubresources } from './subresources/subresources.ts';
import { WriteLog } from './write-log.ts';

export interface ApiserverConfig {
  /** Where clients outside find the server: `10.0.0.1:6443`. */
  readonly externalAddress: string;
  /** Where pods find it, behind the service `kubernetes`. */
  readonly advertiseAddress: string;
  readonly advertisePort: number;
  /** `iss` of service account tokens. */
  readonly serviceAccountIssuer: string;
  /** What tokens are for when nobody says; the issuer by default. */
  readonly apiAudiences?: readonly string[];
  readonly serviceClusterIpRange: string;
  readonly allowAnonymous?: boolean;
  /** Reaches kubelets of other processes, at their nodes' addresses. Without it only those that `dialKubelet` knows. */
  readonly kubeletClient?: KubeletClientTls & { readonly addressTypes?: readonly string[] };
  /** `v1.36.3+wherry.0.1.0`. */
  readonly version: string;
}

export interface ApiserverDeps {
  readonly etcd: Channel;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly signer: TokenSigner;
  /** Kubelets of this process, asked first. */
  readonly dialKubelet: KubeletDialer;
  readonly log: (message: string, error?: unknown) => void;
}

export interface Apiserver extends AsyncDisposable {
  readonly handler: HttpHandler;
  readonly registry: ResourceRegistry;
  /** Objects as the server sees them. */
  readonly reader: ObjectReader;
  /** The latest writes to an object, newest first. */
  writesOf(resource: string, namespace: string, name: string): readonly RecordedWrite[];
  /** The store's revision that the server has seen. */
  revision(): number;
  /** Names of the stages a request goes through, in order. */
  readonly stages: readonly string[];
}

export async function startApiserver({
  config,
  deps,
}: {
  readonly config: ApiserverConfig;
  readonly deps: ApiserverDeps;
}): Promise<Apiserver> {
  const scope = new Scope();
  try {
    return await wire(config, deps, scope);
  } catch (error) {
    await scope[Symbol.asyncDispose]();
    throw error;
  }
}

async function wire(config: ApiserverConfig, deps: ApiserverDeps, scope: Scope): Promise<Apiserver> {
  const { clock, prng, log } = deps;
  const audiences = config.apiAudiences ?? [config.serviceAccountIssuer];

  const etcd = scope.use(createEtcdClient(deps.etcd, clock, requestTimeoutMs));
  const store = createObjectStore(etcd);
  const cache = scope.use(await WatchCache.start({ etcd, store, clock, warn: log }));
  const registry = new ResourceRegistry();
  const reader = cacheReader(registry, cache, store);
  const writes = new WriteLog();
  // In upstream's order of plugins.
  const admission: AdmissionPlugin[] = [
    namespaceLifecycle(reader),
    limitRanger(reader),
    serviceAccount(reader, prng),
    nodeRestriction(reader),
    taintNodesByCondition,
    priority(reader),
    defaultTolerationSeconds,
    certificateSubjectRestriction,
    defaultIngressClass(reader),
  ];
  const addresses = createAddressAllocator(parseRange(config.serviceClusterIpRange), {
    store,
    clock,
    prng,
    isTaken: (address) =>
      reader.get({ group: 'networking.k8s.io', resource: 'ipaddresses' }, '', address) !== undefined,
  });
  const nodePorts = createNodePortAllocator(store, prng);
  registry.add(
    ...resources.map((resource) =>
      servedResource(resource, ({ group, resource: name }, strategy) =>
        group === '' && name === 'services' ? serviceStrategy(strategy, addresses, nodePorts) : strategy,
      ),
    ),
  );
  await bootstrap(config, { registry, store, cache, clock, prng });
  // Whoever is served first finds its role in the cache.
  await cache.waitFor(await store.currentRevision());

  scope.run(
    (signal) =>
      repairServiceAllocations(
        {
          reader,
          clock,
          nodePorts,
          releaseAddress: (address, service) => addresses.release(address, service),
          warn: log,
        },
        signal,
      ),
    (error) => log('service addresses and ports are no longer repaired', error),
  );

  const leases = new LeasePool(etcd, clock);
  const rest: RestDeps = {
    store,
    cache,
    registry,
    admission,
    bookmarks: scope.use(new BookmarkTimer(clock)),
    clock,
    prng,
    memo: new EncodedMemo(),
    leaseFor: (ttlSeconds) => leases.leaseFor(ttlSeconds),
    watchStore: (prefix, revision, signal) =>
      etcd.watch({
        key: utf8Encode(prefix),
        rangeEnd: prefixEnd(utf8Encode(prefix)),
        startRevision: revision,
        prevKv: true,
        signal,
      }),
    recordWrite: (write) => writes.add(write),
    warn: log,
  };
  const rbac = scope.use(createRbac(reader));
  // `--authorization-mode=Node,RBAC`
  const authorize = firstOf([nodeAuthorizer(scope.use(createNodeGraph(reader)), nodeRules), rbac.authorize]);
  // They ask the roles, which are served only now.
  admission.push(certificateApproval(authorize), certificateSigning(authorize), rbacEscalation(reader, rbac));
  const verifyToken = serviceAccountTokens({
    signer: deps.signer,
    issuer: config.serviceAccountIssuer,
    audiences,
    reader,
    clock,
    warn: log,
  });
  const authenticate = createAuthentication(
    [component, clientCertificate, bearerToken((token) => verifyToken(token))],
    config.allowAnonymous ?? true,
  );
  const remote =
    config.kubeletClient &&
    scope.use(
      kubeletsByAddress({
        node: (name) => reader.get({ group: '', resource: 'nodes' }, '', name),
        tls: config.kubeletClient,
        ...(config.kubeletClient.addressTypes && { addressTypes: config.kubeletClient.addressTypes }),
      }),
    );
  const subresources = createSubresources({
    dialKubelet: (name) => deps.dialKubelet(name) ?? remote?.dial(name),
    signer: deps.signer,
    issuer: config.serviceAccountIssuer,
    audiences,
    reader,
    authorize,
    grantsFor: rbac.grantsFor,
    verifyToken,
  });
  const discovery = createDiscovery(registry, () => config.externalAddress);
  const openApi = createOpenApi({
    registry,
    clock,
    version: config.version,
    descriptions: async () => {
      // Half a megabyte of text that most servers never show.
      const { descriptions } = await import('#api-kube/gen/descriptions.ts');
      return (type, field) => descriptions[field === undefined ? type : `${type}.${field}`];
    },
  });
  const checks: Readonly<Record<string, Check>> = {
    ping: () => undefined,
    etcd: () => undefined,
    'informer-sync': () => (cache.revision > 0 ? undefined : 'the watch cache is empty'),
  };

  // The order is upstream's; what is not built yet has its place in the comment.
  const stages: readonly Stage[] = [
    requestTimeout(clock),
    {
      name: 'Authentication',
      run: async (context, next) => next({ ...context, user: await authenticate(context.request) }),
    },
    // Audit comes here.
    impersonation(authorize),
    // PriorityAndFairness comes here.
    {
      name: 'Authorization',
      run: (context, next) => {
        const decision = authorize(context);
        if (!decision.allowed) throw forbiddenRequest(context, decision.reason);
        return next(context);
      },
    },
  ];

  const route: Handler = async (context) => {
    const { request, info, user } = context;
    if (!info.isResourceRequest)
      return (
        answerHealth(context, checks, log) ??
        discovery.answer(context) ??
        (await openApi.answer(context)) ??
        answerDocuments(context, config, deps.signer) ??
        Promise.reject(noSuchPathError())
      );
    const served = registry.find(info.apiGroup, info.apiVersion, info.resource);
    if (served === undefined) throw noSuchPathError();
    return dispatch({ deps: rest, request, info, user, served, warnings: [] }, subresources);
  };

  return {
    handler: createPipeline(stages, route, log),
    registry,
    reader,
    writesOf: (resource, namespace, name) => writes.of(resource, namespace, name),
    revision: () => cache.revision,
    stages: stages.map(({ name }) => name),
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

/** Paths that are neither resources nor discovery. */
function answerDocuments({ info }: RequestContext, config: ApiserverConfig, signer: TokenSigner) {
  const json = (value: object) => {
    const { contentType, body } = encodeValue(value, { format: 'json', pretty: true });
    return { status: 200, headers: [['content-type', contentType] as const], body };
  };
  switch (info.path.replace(/(.)\/$/, '$1')) {
    case '/version': {
      const [, major, minor] = /^v(\d+)\.(\d+)/.exec(config.version) ?? [];
      return json({
        major,
        minor,
        gitVersion: config.version,
        gitCommit: '',
        gitTreeState: 'clean',
        buildDate: '1970-01-01T00:00:00Z',
        goVersion: '',
        compiler: 'typescript',
        platform: 'linux/amd64',
      });
    }
    case '/.well-known/openid-configuration':
      return json({
        issuer: config.serviceAccountIssuer,
        jwks_uri: `https://${config.externalAddress}/openid/v1/jwks`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256', 'RS256'],
      });
    case '/openid/v1/jwks':
      return json(signer.jwks);
    case '/':
      return json({ paths: ['/api', '/api/v1', '/apis', '/healthz', '/livez', '/readyz', '/version'] });
    default:
      return undefined;
  }
}
