/**
 * Changes of membership (Raft dissertation, chapter 4): one voter at a time, or any number through a joint configuration. Pure: from a
 * configuration and changes to the next configuration, or an error in upstream's words. Whether now is the time is the leader's business.
 */
import { type ConfChangeSingle, ConfChangeType } from '#api-etcd/gen/raft.ts';
import { type Configuration, checkConfiguration, isJoint } from './configuration.ts';
import { type NodeSet, noNodes, withNode, withoutNode } from './joint.ts';
import type { NodeId } from './quorum.ts';

/** A change that the configuration does not allow. */
export class ConfChangeError extends Error {
  override readonly name = 'ConfChangeError';
}

/** Applies changes that touch at most one voter, at once. */
export function changeSimply(configuration: Configuration, changes: readonly ConfChangeSingle[]): Configuration {
  if (isJoint(configuration)) throw new ConfChangeError("can't apply simple config change in joint config");
  const changed = applyChanges(configuration, changes);
  if (difference(configuration.incoming, changed.incoming) > 1)
    throw new ConfChangeError('more than one voter changed without entering joint config');
  return checked(changed);
}

/** Begins a change: the voters so far become the outgoing set, and both sets decide until the change is left. */
export function enterJoint(
  configuration: Configuration,
  autoLeave: boolean,
  changes: readonly ConfChangeSingle[],
): Configuration {
  if (isJoint(configuration)) throw new ConfChangeError('config is already joint');
  if (configuration.incoming.length === 0) throw new ConfChangeError("can't make a zero-voter config joint");
  const joint = { ...configuration, outgoing: configuration.incoming };
  return checked({ ...applyChanges(joint, changes), autoLeave });
}

/** Ends the change: the incoming voters decide alone; voters that were to become learners are. */
export function leaveJoint(configuration: Configuration): Configuration {
  if (!isJoint(configuration)) throw new ConfChangeError("can't leave a non-joint config");
  const learners = configuration.learnersNext.reduce(withNode, configuration.learners);
  return checked({ ...configuration, outgoing: noNodes, learners, learnersNext: noNodes, autoLeave: false });
}

function checked(configuration: Configuration): Configuration {
  checkConfiguration(configuration);
  return configuration;
}

function applyChanges(configuration: Configuration, changes: readonly ConfChangeSingle[]): Configuration {
  let next = configuration;
  // Changes without a member stand in entries that were made void after they had been proposed.
  for (const { type, nodeId } of changes) if (nodeId !== 0n) next = applyChange(next, type, nodeId);
  if (next.incoming.length === 0) throw new ConfChangeError('removed all voters');
  return next;
}

function applyChange(configuration: Configuration, type: ConfChangeType, id: NodeId): Configuration {
  switch (type) {
    case ConfChangeType.ConfChangeAddNode:
      return { ...without(configuration, id), incoming: withNode(configuration.incoming, id) };
    case ConfChangeType.ConfChangeAddLearnerNode: {
      if (configuration.learners.includes(id)) return configuration;
      const rest = without(configuration, id);
      // A voter of the outgoing set keeps its vote there, and a voter is no learner: it becomes one later.
      return rest.outgoing.includes(id)
        ? { ...rest, learnersNext: withNode(rest.learnersNext, id) }
        : { ...rest, learners: withNode(rest.learners, id) };
    }
    case ConfChangeType.ConfChangeRemoveNode:
      return without(configuration, id);
    case ConfChangeType.ConfChangeUpdateNode:
      return configuration;
    default:
      throw new ConfChangeError(`unexpected conf type ${type}`);
  }
}

/** `id` in no set that the change decides about. The outgoing set stays as it is until it is left. */
function without(configuration: Configuration, id: NodeId): Configuration {
  return {
    ...configuration,
    incoming: withoutNode(configuration.incoming, id),
    learners: withoutNode(configuration.learners, id),
    learnersNext: withoutNode(configuration.learnersNext, id),
  };
}

/** How many members are in one of the two sets only. */
function difference(a: NodeSet, b: NodeSet): number {
  return a.filter((id) => !b.includes(id)).length + b.filter((id) => !a.includes(id)).length;
}
