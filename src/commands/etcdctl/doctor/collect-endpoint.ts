/** What one address of a client port says, twice: all of it at first, what changes a while later. */
import { isEtcdError } from '#api-etcd/errors.ts';
import { Cluster, type StatusResponse } from '#api-etcd/gen/rpc.ts';
import type { Page } from '../page.ts';
import type { Session } from '../session.ts';
import { ask } from './ask.ts';
import { certificateOf } from './collect-certificates.ts';
import type { Asked, EndpointFacts, StatusFacts } from './facts.ts';
import { clusterVersionOf, healthOf, metricsOf, readyOf } from './pages.ts';

/** A first look, and what a second one needs. */
export interface Look {
  readonly session: Session;
  readonly facts: EndpointFacts;
  /** Every page that came, for the time in it. */
  readonly pages: readonly Page[];
}

export async function firstLook(session: Session, given: boolean): Promise<Look> {
  const { channel, client, call, endpoint } = session;
  const pages: Page[] = [];
  const page = <T>(path: string, read: (page: Page) => T): Promise<Asked<T>> =>
    ask(async () => {
      const got = await session.get(path);
      pages.push(got);
      return read(got);
    });
  const { tls } = session.targetOf(endpoint) ?? {};
  const [status, read, memberIds, health, ready, clusterVersion, metrics, certificate] = await Promise.all([
    statusBy(session),
    ask(async () => {
      const startMs = performance.now();
      try {
        await client.range({ key: Buffer.from('health') }, call);
      } catch (error) {
        // Not permitted is answered by a quorum, too, and so is that an alarm stands in the way.
        if (!isEtcdError(error, 'permissionDenied') && !isEtcdError(error, 'corrupt')) throw error;
      }
      return performance.now() - startMs;
    }),
    ask(async () => {
      const { members } = await channel.unary(Cluster.methods.memberList, { linearizable: false }, call);
      return members.map(({ id }) => id);
    }),
    page('/health', healthOf),
    page('/readyz', readyOf),
    page('/version', clusterVersionOf),
    page('/metrics', metricsOf),
    tls === undefined ? undefined : certificateOf(session),
  ]);
  const seen = { status, read, memberIds, health, ready, clusterVersion, metrics, certificate };
  return { session, pages, facts: { url: endpoint, given, ...seen, statusLater: status, metricsLater: metrics } };
}

/** Who did not answer at first is not asked again. */
export async function secondLook({ session, facts }: Look): Promise<EndpointFacts> {
  if (facts.status.kind !== 'answered') return facts;
  const [statusLater, metricsLater] = await Promise.all([
    statusBy(session),
    facts.metrics.kind === 'answered' ? ask(async () => metricsOf(await session.get('/metrics'))) : facts.metrics,
  ]);
  return { ...facts, statusLater, metricsLater };
}

function statusBy({ client, call }: Session): Promise<Asked<StatusFacts>> {
  return ask(async () => statusFacts(await client.status(call)));
}

function statusFacts(status: StatusResponse): StatusFacts {
  const { header, version, dbSize, dbSizeInUse, dbSizeQuota, leader, raftTerm, isLearner, errors } = status;
  return {
    clusterId: header!.clusterId,
    memberId: header!.memberId,
    revision: header!.revision,
    version,
    dbBytes: dbSize,
    dbInUseBytes: dbSizeInUse,
    quotaBytes: dbSizeQuota,
    leader,
    term: raftTerm,
    index: status.raftIndex,
    appliedIndex: status.raftAppliedIndex,
    isLearner,
    errors,
    downgradeTo: status.downgradeInfo?.enabled ? status.downgradeInfo.targetVersion : undefined,
  };
}
