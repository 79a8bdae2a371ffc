/** How a member without a folder learns who it is: from the members that a new cluster begins with, or from a cluster that has it already. */
import { clusterIdOf, type InitialMember, initialMembers, type MemberIdentity, memberIdOf } from '../identity.ts';
import type { PeerTransport } from '../peers/peers.ts';
import type { ClusterMember } from './members.ts';

export interface NewCluster {
  readonly identity: MemberIdentity;
  readonly members: readonly ClusterMember[];
}

/** A cluster cannot be begun, or joined, as it was asked. */
export class BootstrapError extends Error {
  override readonly name = 'BootstrapError';
}

/** As in the server's configuration. */
export interface BootstrapConfig {
  readonly name?: string;
  readonly peerUrls?: readonly string[];
  readonly clientUrls?: readonly string[];
  readonly initialCluster?: readonly InitialMember[];
  readonly clusterToken?: string;
}

/** @throws BootstrapError when this member is not among those of the cluster */
export function newCluster(config: BootstrapConfig): NewCluster {
  const { name, peerUrls, clientUrls, initialCluster, clusterToken } = complete(config);
  const members = initialMembers(initialCluster, clusterToken);
  checkOwnUrls(name, peerUrls, initialCluster);
  const memberId = memberIdOf(peerUrls, clusterToken);
  return { identity: { name, memberId, clusterId: clusterIdOf(members.map(({ id }) => id)), clientUrls }, members };
}

/** @throws BootstrapError when nobody answers, or the cluster does not have the members that this one was told of */
export async function joinedCluster(config: BootstrapConfig, peers: PeerTransport | undefined): Promise<NewCluster> {
  const { name, peerUrls, clientUrls, initialCluster } = complete(config);
  checkOwnUrls(name, peerUrls, initialCluster);
  const others = initialCluster.filter((member) => member.name !== name);
  if (peers === undefined || others.length === 0)
    throw new BootstrapError(
      'cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs',
    );
  const { clusterId, members } = await askAny(
    peers,
    others.flatMap((member) => member.peerUrls),
  );
  if (members.length !== initialCluster.length)
    throw new BootstrapError('error validating peerURLs: member count is unequal');
  const own = members.find((member) => sameUrls(member.peerUrls, peerUrls));
  for (const wanted of initialCluster)
    if (!members.some((member) => sameUrls(member.peerUrls, wanted.peerUrls)))
      throw new BootstrapError(`error validating peerURLs: unmatched member while checking PeerURLs (${wanted.name})`);
  if (own === undefined)
    throw new BootstrapError(`couldn't find local name "${name}" in the initial cluster configuration`);
  return { identity: { name, memberId: own.id, clusterId, clientUrls }, members };
}

async function askAny(peers: PeerTransport, urls: readonly string[]) {
  let last: unknown;
  for (const url of urls)
    try {
      return await peers.callsTo([url]).members();
    } catch (error) {
      last = error;
    }
  throw new BootstrapError(
    'cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs',
    { cause: last },
  );
}

function complete(config: BootstrapConfig) {
  const {
    name = 'default',
    peerUrls = ['http://localhost:2380'],
    clientUrls = ['http://localhost:2379'],
    clusterToken = 'etcd-cluster',
  } = config;
  return { name, peerUrls, clientUrls, clusterToken, initialCluster: config.initialCluster ?? [{ name, peerUrls }] };
}

/** What a member tells the others must be what they were told of it. */
function checkOwnUrls(name: string, peerUrls: readonly string[], cluster: readonly InitialMember[]): void {
  const own = cluster.find((member) => member.name === name);
  if (own === undefined)
    throw new BootstrapError(`couldn't find local name ${JSON.stringify(name)} in the initial cluster configuration`);
  if (!sameUrls(own.peerUrls, peerUrls)) {
    const listed = own.peerUrls.map((url) => `${name}=${url}`).join(',');
    throw new BootstrapError(
      `--initial-cluster has ${listed} but missing from --initial-advertise-peer-urls=${peerUrls.join(',')}`,
    );
  }
}

function sameUrls(a: readonly string[], b: readonly string[]): boolean {
  return [...a].sort().join() === [...b].sort().join();
}
