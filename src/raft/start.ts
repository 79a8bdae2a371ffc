/** How a member begins: from what its storage knows, or as one of the founders of a group. */
import { ConfChange, type Entry, EntryType } from '#api-etcd/gen/raft.ts';
import { assert } from '#std/assert.ts';
import { configurationOf } from './configuration.ts';
import { nodeSet } from './joint.ts';
import { applyConfChange, switchToConfiguration } from './membership.ts';
import { noNode } from './message.ts';
import type { NodeId } from './quorum.ts';
import type { Raft } from './raft.ts';
import { becomeFollower } from './roles.ts';

/** Takes up what the storage knows from the last time. */
export function startRaft(raft: Raft): void {
  const { log, settings, logger, name } = raft;
  const { hardState, confState } = settings.storage.initialState();
  const lastIndex = log.lastIndex();
  const lastTerm = log.lastTerm();
  switchToConfiguration(raft, configurationOf(confState));
  const { term, vote, commit } = hardState;
  if (term !== 0 || vote !== noNode || commit !== 0) {
    assert(
      commit >= log.committed && commit <= lastIndex,
      `${name} state.commit ${commit} is out of range [${log.committed}, ${lastIndex}]`,
    );
    log.committed = commit;
    raft.term = term;
    raft.vote = vote;
  }
  if (settings.applied > 0) log.appliedTo(settings.applied, 0);
  becomeFollower(raft, raft.term, noNode);
  const { incoming, outgoing } = raft.tracker.configuration;
  const peers = nodeSet([...incoming, ...outgoing]);
  logger.info?.(
    `newRaft ${name} [peers: [${peers.map((id) => id.toString(16)).join(',')}], term: ${raft.term}, commit: ${log.committed}, applied: ${log.applied}, lastindex: ${lastIndex}, lastterm: ${lastTerm}]`,
  );
}

/** A member of a group that is about to be founded. The context goes into the entry that adds it. */
export interface FoundingMember {
  readonly id: NodeId;
  readonly context: Uint8Array | undefined;
}

/** Every founder begins with the same log: one entry for each member, all committed. Nothing of it is on disk yet. */
export function foundGroup(raft: Raft, members: readonly FoundingMember[]): void {
  assert(members.length > 0, 'must provide at least one peer to Bootstrap');
  assert(raft.settings.storage.lastIndex() === 0, "can't bootstrap a nonempty Storage");
  becomeFollower(raft, 1, noNode);
  const entries = members.map(({ id, context }, i): Entry => {
    const data = ConfChange.encode(ConfChange.create({ nodeId: id, context }));
    return { type: EntryType.EntryConfChange, term: 1, index: i + 1, data };
  });
  raft.log.append(entries);
  raft.log.committed = entries.length;
  // They take effect now, so that there are voters to campaign among, and again when they are applied, which changes nothing.
  for (const { id } of members) applyConfChange(raft, ConfChange.create({ nodeId: id }));
}
