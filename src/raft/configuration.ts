/**
 * Who belongs to the group: voters (two sets while membership changes jointly), learners, and who becomes a learner when the joint
 * configuration is left. Immutable; what may follow what is `conf-change.ts`'s business.
 */
import type { ConfState } from '#api-etcd/gen/raft.ts';
import { assert } from '#std/assert.ts';
import { type JointVoters, type NodeSet, nodeSet, noNodes } from './joint.ts';
import type { NodeId } from './quorum.ts';

export interface Configuration extends JointVoters {
  /** Members that follow the log and have no vote. Never voters at the same time. */
  readonly learners: NodeSet;
  /** Voters of the outgoing set alone that become learners when it is left. */
  readonly learnersNext: NodeSet;
  /** The leader leaves the joint configuration by itself as soon as it has been applied. */
  readonly autoLeave: boolean;
}

export const emptyConfiguration: Configuration = Object.freeze({
  incoming: noNodes,
  outgoing: noNodes,
  learners: noNodes,
  learnersNext: noNodes,
  autoLeave: false,
});

export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.length > 0;
}

export function isVoter(configuration: Configuration, id: NodeId): boolean {
  return configuration.incoming.includes(id) || configuration.outgoing.includes(id);
}

/** Everybody who gets the log, in ascending order. */
export function membersOf({ incoming, outgoing, learners }: Configuration): NodeSet {
  return nodeSet([...incoming, ...outgoing, ...learners]);
}

/** As entries and snapshots carry it. */
export function confStateOf(configuration: Configuration): ConfState {
  return {
    voters: [...configuration.incoming],
    learners: [...configuration.learners],
    votersOutgoing: [...configuration.outgoing],
    learnersNext: [...configuration.learnersNext],
    autoLeave: configuration.autoLeave,
  };
}

export function configurationOf(state: ConfState): Configuration {
  const configuration = {
    incoming: nodeSet(state.voters),
    outgoing: nodeSet(state.votersOutgoing),
    learners: nodeSet(state.learners),
    learnersNext: nodeSet(state.learnersNext),
    autoLeave: state.autoLeave,
  };
  checkConfiguration(configuration);
  return configuration;
}

/** What holds for every configuration, whatever way led there. */
export function checkConfiguration(configuration: Configuration): void {
  const { incoming, outgoing, learners, learnersNext, autoLeave } = configuration;
  for (const id of learners)
    assert(!incoming.includes(id) && !outgoing.includes(id), `${id} is a learner and a voter at the same time`);
  for (const id of learnersNext)
    assert(outgoing.includes(id) && !incoming.includes(id), `${id} is to become a learner, but is no outgoing voter`);
  assert(outgoing.length > 0 || !autoLeave, 'there is no joint configuration to leave');
}

/** One line for logs, in upstream's words. */
export function describeConfiguration(configuration: Configuration): string {
  const { incoming, outgoing, learners, learnersNext, autoLeave } = configuration;
  let text = `voters=${describeSet(incoming)}`;
  if (outgoing.length > 0) text += `&&${describeSet(outgoing)}`;
  if (learners.length > 0) text += ` learners=${describeSet(learners)}`;
  if (learnersNext.length > 0) text += ` learners_next=${describeSet(learnersNext)}`;
  return autoLeave ? `${text} autoleave` : text;
}

function describeSet(set: NodeSet): string {
  return `(${set.join(' ')})`;
}
