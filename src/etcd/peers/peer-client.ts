/**
 * What members ask each other besides raft: who is in the cluster, versions, promotions, leases, hashes. Each call is given the addresses
 * of the member it asks and takes the first that answers (upstream: cluster_util, corrupt, leasehttp).
 */
import { LeaseInternalRequest, LeaseInternalResponse } from '#api-etcd/gen/lease.ts';
import {
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseTimeToLiveRequest,
  type LeaseTimeToLiveResponse,
} from '#api-etcd/gen/rpc.ts';
import { type Json, parseJson } from '#kube-machinery/strict-json.ts';
import type { Clock } from '#std/clock.ts';
import { type HeaderList, header } from '#transport/http.ts';
import type { ClusterMember } from '../cluster/members.ts';
import { hexId, type PeerTls, parseHexId } from './context.ts';
import { Deadline } from './deadline.ts';
import { FetchPool } from './fetch-pool.ts';
import { parseMembers } from './members-json.ts';
import { isPeerError, PeerError, type PeerErrorName, peerError } from './peer-error.ts';
import { ask, type PeerRequest } from './peer-link.ts';
import type { PeerHash } from './peer-network.ts';
import { readBody } from './read-body.ts';

export interface RemoteCluster {
  readonly clusterId: bigint;
  readonly members: readonly ClusterMember[];
}

export interface RemoteVersions {
  readonly server: string;
  /** `not_decided` at first. */
  readonly cluster: string;
  /** From 3.6 on. */
  readonly storage: string | undefined;
}

/** An answer carries every key of a lease at the most. As upstream's. */
const answerBytesMax = 100 << 20;

/** Answers that every address of the member would give: they are final. */
const finalErrors: readonly PeerErrorName[] = [
  'memberNotFound',
  'memberNotLearner',
  'learnerNotReady',
  'leaseNotFound',
  'compacted',
  'futureRevision',
  'clusterIdMismatch',
];

export class PeerClient implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #pool: FetchPool;
  readonly #stop = new AbortController();

  constructor(options: {
    readonly clock: Clock;
    /** Of each request. Default: upstream's for two election timeouts of a second. */
    readonly timeoutMs?: number;
    readonly dialTimeoutMs?: number;
    readonly tls?: PeerTls;
  }) {
    const { clock, timeoutMs = 7000, dialTimeoutMs = 2000, tls } = options;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#pool = new FetchPool({ dialTimeoutMs, tls });
  }

  /** Members and id of the cluster that a member at one of these addresses is in. @throws Error as upstream words it */
  async members(urls: readonly string[]): Promise<RemoteCluster> {
    let cluster: RemoteCluster;
    try {
      cluster = await this.#firstOf(urls, async (url) => {
        const { body, headers } = await this.#ask(url, { method: 'GET', path: '/members', headers: [] });
        const clusterId = parseHexId(header(headers, 'x-etcd-cluster-id') ?? '');
        if (clusterId === undefined) throw new Error('the answer names no cluster');
        return { clusterId, members: parseMembers(body.toString()) };
      });
    } catch (error) {
      throw new Error('could not retrieve cluster information from the given URLs', { cause: error });
    }
    if (cluster.members.length === 0) throw new Error('failed to get raft cluster member(s) from the given URLs');
    return cluster;
  }

  async version(urls: readonly string[]): Promise<RemoteVersions> {
    return await this.#firstOf(urls, async (url) => {
      const { body } = await this.#ask(url, { method: 'GET', path: '/version', headers: [] });
      const { etcdserver, etcdcluster, storage } = fieldsOf(body);
      if (typeof etcdserver !== 'string' || typeof etcdcluster !== 'string') throw new Error('not a version');
      return {
        server: etcdserver,
        cluster: etcdcluster,
        storage: typeof storage === 'string' ? storage : undefined,
      };
    });
  }

  async downgradeEnabled(urls: readonly string[]): Promise<boolean> {
    return await this.#firstOf(urls, async (url) => {
      const { body } = await this.#ask(url, { method: 'GET', path: '/downgrade/enabled', headers: [] });
      const text = body.toString();
      if (text !== 'true' && text !== 'false') throw new Error(`neither true nor false: ${JSON.stringify(text)}`);
      return text === 'true';
    });
  }

  /**
   * Has the leader make a learner a voter.
   * @param token what the caller's authentication is
   * @throws PeerError memberNotFound, memberNotLearner, learnerNotReady
   */
  async promote(urls: readonly string[], id: bigint, token?: string): Promise<readonly ClusterMember[]> {
    return await this.#firstOf(urls, async (url) => {
      const headers: HeaderList = token === undefined ? [] : [['authorization', token]];
      const request = { method: 'POST', path: `/members/promote/${id}`, headers, body: Buffer.alloc(0) } as const;
      const { body } = await this.#ask(url, request, (status, text) => {
        if (status === 412 && text.includes(peerError('learnerNotReady').message)) return peerError('learnerNotReady');
        if (status === 412 && text.includes(peerError('memberNotLearner').message))
          return peerError('memberNotLearner');
        if (status === 404) return peerError('memberNotFound');
        return new PeerError(status, `member promote: unknown error(${text})`);
      });
      return parseMembers(body.toString());
    });
  }

  /** Has the leader renew a lease. Resolves with its time to live in seconds. @throws PeerError leaseNotFound, leaseTimeout */
  async renewLease(urls: readonly string[], id: bigint): Promise<number> {
    return await this.#firstOf(urls, async (url) => {
      const body = LeaseKeepAliveRequest.encode(LeaseKeepAliveRequest.create({ id }));
      const answer = LeaseKeepAliveResponse.decode(await this.#lease(url, '/leases', body));
      if (answer.id !== id) throw new Error('lease: renew id mismatch');
      return answer.ttl;
    });
  }

  /** @throws PeerError leaseNotFound, leaseTimeout */
  async leaseTimeToLive(urls: readonly string[], id: bigint, keys: boolean): Promise<LeaseTimeToLiveResponse> {
    return await this.#firstOf(urls, async (url) => {
      const leaseTimeToLiveRequest = LeaseTimeToLiveRequest.create({ id, keys });
      const body = LeaseInternalRequest.encode({ leaseTimeToLiveRequest });
      const answer = LeaseInternalResponse.decode(await this.#lease(url, '/leases/internal', body));
      if (answer.leaseTimeToLiveResponse?.id !== id) throw new Error('lease: TTL id mismatch');
      return answer.leaseTimeToLiveResponse;
    });
  }

  /** @throws PeerError compacted, futureRevision, clusterIdMismatch */
  async hashKv(urls: readonly string[], clusterId: bigint, revision: number): Promise<PeerHash> {
    return await this.#firstOf(urls, async (url) => {
      const headers: HeaderList = [
        ['content-type', 'application/json'],
        ['x-etcd-cluster-id', hexId(clusterId)],
      ];
      const body = Buffer.from(JSON.stringify(revision === 0 ? {} : { revision }));
      const request = { method: 'GET', path: '/members/hashkv', headers, body } as const;
      const answer = fieldsOf(
        (
          await this.#ask(url, request, (status, text) => {
            for (const name of ['compacted', 'futureRevision', 'clusterIdMismatch'] as const) {
              const known = peerError(name);
              if (status === known.status && text.includes(known.message)) return known;
            }
            return new PeerError(status, `unknown error: ${text}`);
          })
        ).body,
      );
      const compactRevision = number(answer['compact_revision']);
      return {
        hash: number(answer['hash']),
        compactRevision,
        // Before 3.6 it was not said: it is the revision that was asked for.
        hashRevision: answer['hash_revision'] === undefined ? revision : number(answer['hash_revision']),
        revision: number(fields(answer['header'])['revision']),
      };
    });
  }

  /** New connections use it; those that stand keep theirs. */
  reload(tls: PeerTls): void {
    this.#pool.reload(tls);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the client is closed'));
    await this.#pool[Symbol.asyncDispose]();
  }

  async #lease(url: string, path: string, body: Buffer): Promise<Buffer> {
    const headers: HeaderList = [['content-type', 'application/protobuf']];
    const answer = await this.#ask(url, { method: 'POST', path, headers, body }, (status, text) => {
      if (status === 408) return peerError('leaseTimeout');
      if (status === 404) return peerError('leaseNotFound');
      return new PeerError(status, `lease: unknown error(${text})`);
    });
    return answer.body;
  }

  /** @throws the last error when no address has a use */
  async #firstOf<T>(urls: readonly string[], attempt: (url: string) => Promise<T>): Promise<T> {
    let last: unknown = new Error('the member has no address');
    for (const url of urls)
      try {
        return await attempt(url);
      } catch (error) {
        if (finalErrors.some((name) => isPeerError(error, name))) throw error;
        last = error;
      }
    throw last;
  }

  async #ask(
    url: string,
    request: Omit<PeerRequest, 'signal'>,
    refused: (status: number, text: string) => PeerError = (status, text) => new PeerError(status, text),
  ): Promise<{ readonly body: Buffer; readonly headers: HeaderList }> {
    using deadline = new Deadline(this.#clock, this.#timeoutMs, this.#stop.signal);
    try {
      const response = await ask(this.#pool.of(url), { ...request, signal: deadline.signal });
      const body = await readBody(response.body, answerBytesMax);
      if (response.status !== 200) throw refused(response.status, body.toString().replace(/\n$/, ''));
      return { body, headers: response.headers };
    } catch (error) {
      throw deadline.reasonOf(error);
    }
  }
}

type Fields = Readonly<Record<string, Json>>;

/** @throws JsonError */
function fieldsOf(body: Buffer): Fields {
  return fields(parseJson(body.toString(), { wideIntegers: 'text' }).value);
}

function fields(value: Json | undefined): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** Go leaves zeros out. */
function number(value: Json | undefined): number {
  return typeof value === 'number' ? value : 0;
}
