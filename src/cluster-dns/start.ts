/**
 * Serves the cluster's names over UDP and TCP on one address of the node. The zone is made again when services or endpoints changed since it was
 * last asked for; questions about other names go to the node's own servers, or fail where there are none.
 */
import * as dnsPacket from 'dns-packet';
import type { KubeClient } from '#kube-client/client.ts';
import { createInformerFactory } from '#kube-client/informer-factory.ts';
import type { ApiObject, ResourceRef } from '#kube-client/resource-ref.ts';
import type { Clock } from '#std/clock.ts';
import { below, type Prng } from '#std/prng.ts';
import { Scope } from '#std/scope.ts';
import { answerFromZone, emptyReply, ResponseCode } from './answer.ts';
import { buildZone, type EndpointSliceLike, type ServiceLike, type Zone } from './zone.ts';

export interface ClusterDnsDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly prng: Prng;
  /** Binds the address; answers each question with what `answer` makes of it. */
  readonly listen: (answer: (question: Buffer) => Promise<Buffer | undefined>) => Promise<AsyncDisposable>;
  /** Asks a server outside; rejects when none answers. */
  readonly forward: (question: Buffer, server: string) => Promise<Buffer>;
  readonly log: (message: string, error?: unknown) => void;
}

export interface ClusterDnsConfig {
  /** `cluster.local`. */
  readonly domain: string;
  /** The node's own name servers. */
  readonly upstream: readonly string[];
}

export interface ClusterDns extends AsyncDisposable {
  readonly ready: Promise<void>;
}

const services: ResourceRef = { group: '', version: 'v1', resource: 'services', kind: 'Service', namespaced: true };
const slices: ResourceRef = {
  group: 'discovery.k8s.io',
  version: 'v1',
  resource: 'endpointslices',
  kind: 'EndpointSlice',
  namespaced: true,
};

export async function startClusterDns({
  config,
  deps,
}: {
  readonly config: ClusterDnsConfig;
  readonly deps: ClusterDnsDeps;
}): Promise<ClusterDns> {
  const { client, clock, prng, log } = deps;
  const scope = new Scope();
  const informers = scope.use(createInformerFactory({ client, clock, prng, log }));
  const serviceInformer = informers.informer<ServiceLike & ApiObject>(services);
  const sliceInformer = informers.informer<EndpointSliceLike & ApiObject>(slices);
  let zone: Zone | undefined;
  const changed = () => {
    zone = undefined;
  };
  const handlers = { added: changed, updated: changed, deleted: changed };
  serviceInformer.addHandlers(handlers);
  sliceInformer.addHandlers(handlers);

  const answer = async (bytes: Buffer): Promise<Buffer | undefined> => {
    let query: dnsPacket.Packet;
    try {
      query = dnsPacket.decode(bytes);
    } catch {
      // What is no question gets no answer: there is not even an id to answer to.
      return undefined;
    }
    if (query.type !== 'query') return undefined;
    const [question] = query.questions ?? [];
    if (question === undefined) return dnsPacket.encode(emptyReply(query, ResponseCode.formatError));
    zone ??= buildZone(config.domain, serviceInformer.list(), sliceInformer.list());
    const own = answerFromZone(query, question, zone, config.domain, (count) => below(prng, count));
    if (own !== undefined) return dnsPacket.encode(own);
    for (const server of config.upstream)
      try {
        return await deps.forward(bytes, server);
      } catch (error) {
        log(`name server ${server}`, error);
      }
    return dnsPacket.encode(emptyReply(query, ResponseCode.serverFailure));
  };
  try {
    scope.use(await deps.listen(answer));
  } catch (error) {
    await scope[Symbol.asyncDispose]();
    throw error;
  }
  return { ready: informers.synced(), [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose]() };
}
