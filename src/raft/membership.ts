/** Membership as it is applied: the next configuration takes effect, and what follows from it for a leader. */
import {
  type ConfChange,
  type ConfChangeSingle,
  ConfChangeTransition,
  type ConfChangeV2,
  type ConfState,
} from '#api-etcd/gen/raft.ts';
import { changeSimply, enterJoint, leaveJoint } from './conf-change.ts';
import { type Configuration, confStateOf, describeConfiguration, isVoter } from './configuration.ts';
import { noNode } from './message.ts';
import type { Raft } from './raft.ts';
import { broadcastAppend, maybeCommit, sendAppend } from './replication.ts';
import { becomeFollower } from './roles.ts';

/** A change of one member is a change of members that are one. */
export function asConfChangeV2(change: ConfChange | ConfChangeV2): ConfChangeV2 {
  if ('changes' in change) return change;
  const single: ConfChangeSingle = { type: change.type, nodeId: change.nodeId };
  return { transition: ConfChangeTransition.ConfChangeTransitionAuto, changes: [single], context: change.context };
}

/** Whether a change ends a joint configuration. */
export function leavesJoint({ transition, changes }: ConfChangeV2): boolean {
  return transition === ConfChangeTransition.ConfChangeTransitionAuto && changes.length === 0;
}

/** A committed change takes effect. Throws `ConfChangeError` for one that does not fit: then the log is not what was agreed on. */
export function applyConfChange(raft: Raft, change: ConfChange | ConfChangeV2): ConfState {
  const { configuration } = raft.tracker;
  return switchToConfiguration(raft, nextConfiguration(configuration, asConfChangeV2(change)));
}

/** Several changes go jointly, as does what asks for it; a joint configuration is left by itself unless the change says otherwise. */
function nextConfiguration(configuration: Configuration, change: ConfChangeV2): Configuration {
  if (leavesJoint(change)) return leaveJoint(configuration);
  const { transition, changes } = change;
  if (transition === ConfChangeTransition.ConfChangeTransitionAuto && changes.length <= 1)
    return changeSimply(configuration, changes);
  return enterJoint(configuration, transition !== ConfChangeTransition.ConfChangeTransitionJointExplicit, changes);
}

export function switchToConfiguration(raft: Raft, configuration: Configuration): ConfState {
  const { tracker, log } = raft;
  tracker.configure(configuration, log.lastIndex());
  raft.logger.info?.(`${raft.name} switched to configuration ${describeConfiguration(configuration)}`);
  if (raft.state === 'StateLeader') {
    const own = tracker.get(raft.id);
    if (own === undefined || own.isLearner) {
      if (raft.settings.stepDownOnRemoval) becomeFollower(raft, raft.term, noNode);
    } else if (configuration.incoming.length > 0) adaptLeader(raft, configuration);
  }
  return confStateOf(configuration);
}

function adaptLeader(raft: Raft, configuration: Configuration): void {
  // Fewer voters may need to agree from now on.
  if (maybeCommit(raft)) broadcastAppend(raft);
  // New members need not wait for the next heartbeat.
  else for (const [id, progress] of raft.tracker.members) if (id !== raft.id) sendAppend(raft, id, progress, false);
  if (raft.leadTransferee !== noNode && !isVoter(configuration, raft.leadTransferee)) raft.leadTransferee = noNode;
}
