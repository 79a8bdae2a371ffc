/** The flags of `etcdutl snapshot restore` and `backup restore` that say which cluster the restored folder begins. */
import type { ClusterMember } from '#etcd/cluster/members.ts';
import { initialMembers, memberIdOf } from '#etcd/identity.ts';
import { hostDisk } from '#host/disk.ts';
import { CommandError, ExitCode } from './command.ts';
import type { FlagTable, Parsed } from './flags.ts';
import { parseInitialCluster } from './initial-cluster.ts';

/** Upstream's, with its defaults. */
export const newClusterFlags: FlagTable = {
  'data-dir': { kind: 'string', usage: 'path to the output data directory' },
  name: { kind: 'string', usage: 'human-readable name for this member', default: 'default' },
  'initial-cluster': { kind: 'string', usage: 'initial cluster configuration for restore bootstrap' },
  'initial-cluster-token': {
    kind: 'string',
    usage: 'initial cluster token for the etcd cluster',
    default: 'etcd-cluster',
  },
  'initial-advertise-peer-urls': {
    kind: 'string',
    usage: "list of this member's peer URLs to advertise to the rest of the cluster",
    default: 'http://localhost:2380',
  },
};

/** A member's folder, and the cluster that it begins. */
export interface NewCluster {
  readonly dataDir: string;
  readonly members: readonly ClusterMember[];
  readonly memberId: bigint;
}

/** @throws CommandError when the member is not in its cluster, or the folder holds one already */
export async function newCluster(flags: Parsed): Promise<NewCluster> {
  const name = flags.string('name')!;
  const dataDir = flags.string('data-dir') ?? `${name}.etcd`;
  const peerUrls = flags.string('initial-advertise-peer-urls')!.split(',');
  const clusterToken = flags.string('initial-cluster-token')!;
  const members = initialMembers(
    parseInitialCluster(flags.string('initial-cluster') ?? peerUrls.map((url) => `${name}=${url}`).join()),
    clusterToken,
  );
  const memberId = memberIdOf(peerUrls, clusterToken);
  if (!members.some((member) => member.name === name && member.id === memberId))
    throw new CommandError(
      ExitCode.failed,
      `couldn't find local name ${JSON.stringify(name)} in the initial cluster configuration`,
    );
  if ((await hostDisk.list(`${dataDir}/member`)).length > 0)
    throw new CommandError(ExitCode.failed, `data-dir ${JSON.stringify(dataDir)} not empty or could not be read`);
  return { dataDir, members, memberId };
}
