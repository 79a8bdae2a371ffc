/** The Cluster service of a cluster of one. */
import { Cluster } from '#api-etcd/gen/rpc.ts';
import { type BoundService, bind } from '#rpc/call.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import type { Member } from '../member.ts';

export function clusterService(member: Member, authenticator: Authenticator): BoundService {
  return bind(Cluster, {
    memberList(_request, context) {
      authenticator.knownCallerOf(context);
      return {
        // Without a revision, as upstream: this is no answer of the store.
        header: member.header(0),
        members: member.machine.members.all().map(({ id, name, peerUrls, clientUrls, isLearner }) => ({
          id,
          name,
          peerURLs: [...peerUrls],
          clientURLs: [...clientUrls],
          isLearner,
        })),
      };
    },
  });
}
