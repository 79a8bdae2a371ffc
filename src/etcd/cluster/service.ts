/** The Cluster service: who belongs to the cluster, and changes of it. (upstream: api/v3rpc/member.go) */
import { etcdError } from '#api-etcd/errors.ts';
import { ConfChangeType } from '#api-etcd/gen/raft.ts';
import { Cluster, type Member as MemberMessage } from '#api-etcd/gen/rpc.ts';
import { type BoundService, bind } from '#rpc/call.ts';
import type { Clock } from '#std/clock.ts';
import { type Authenticator, tokenOf } from '../auth/authenticator.ts';
import { memberIdOf } from '../identity.ts';
import { askLeader } from '../leadership.ts';
import type { Member } from '../member.ts';
import { changeContextJson } from './member-json.ts';
import type { ClusterMember } from './members.ts';
import { promote } from './promote.ts';
import { checkMayAdd, checkMayRemove } from './readiness.ts';

export interface ClusterServiceOptions {
  readonly clock: Clock;
  readonly authenticator: Authenticator;
}

export function clusterService(member: Member, options: ClusterServiceOptions): BoundService {
  const { clock, authenticator } = options;
  return bind(Cluster, {
    async memberList({ linearizable }, context) {
      authenticator.knownCallerOf(context);
      if (linearizable) await member.linearized();
      return { header: headerOf(member), members: messagesOf(member.machine.members.all()) };
    },

    async memberAdd({ peerURLs, isLearner }, context) {
      authenticator.checkAdmin(context);
      checkUrls(peerURLs);
      checkMayAdd(member, isLearner);
      const added = {
        id: memberIdOf(peerURLs, String(Math.floor(clock.now() / 1000))),
        name: '',
        peerUrls: [...peerURLs].sort(),
        clientUrls: [],
        isLearner,
      };
      const members = await member.changeMembers({
        type: isLearner ? ConfChangeType.ConfChangeAddLearnerNode : ConfChangeType.ConfChangeAddNode,
        nodeId: added.id,
        context: changeContextJson(added, false),
      });
      return { header: headerOf(member), member: messageOf(added), members: messagesOf(members) };
    },

    async memberRemove({ id }, context) {
      authenticator.checkAdmin(context);
      checkMayRemove(member, id);
      const members = await member.changeMembers({
        type: ConfChangeType.ConfChangeRemoveNode,
        nodeId: id,
        context: undefined,
      });
      return { header: headerOf(member), members: messagesOf(members) };
    },

    async memberUpdate({ id, peerURLs }, context) {
      authenticator.checkAdmin(context);
      checkUrls(peerURLs);
      const updated = { id, name: '', peerUrls: [...peerURLs].sort(), clientUrls: [], isLearner: false };
      const members = await member.changeMembers({
        type: ConfChangeType.ConfChangeUpdateNode,
        nodeId: id,
        context: changeContextJson(updated, false),
      });
      return { header: headerOf(member), members: messagesOf(members) };
    },

    async memberPromote({ id }, context) {
      authenticator.checkAdmin(context);
      const members = member.isLeader
        ? await promote(member, id)
        : await askLeader(member, (leader) => leader.promote(id, tokenOf(context)));
      return { header: headerOf(member), members: messagesOf(members) };
    },
  });
}

/** Without a revision, as upstream: this is no answer of the store. */
function headerOf(member: Member) {
  return member.header(0);
}

function messagesOf(members: readonly ClusterMember[]): MemberMessage[] {
  return members.map(messageOf);
}

function messageOf({ id, name, peerUrls, clientUrls, isLearner }: ClusterMember): MemberMessage {
  return { id, name, peerURLs: [...peerUrls], clientURLs: [...clientUrls], isLearner };
}

/** Upstream's rules: a scheme it knows, host and port, no path. @throws RpcError */
function checkUrls(urls: readonly string[]): void {
  if (urls.length === 0) throw etcdError('memberBadUrls');
  for (const url of urls)
    if (!/^(https?:\/\/[^/?#]+:\d{1,5}|unixs?:\/\/.+)$/.test(url.trim())) throw etcdError('memberBadUrls');
}
