/**
 * A leader sends: entries, the commit index, heartbeats and snapshots, to one member or to all. What a member is ready for is its
 * `Progress`'s business, what comes back that of `append-response.ts`.
 */
import { type Entry, MessageType } from '#api-etcd/gen/raft.ts';
import { assert } from '#std/assert.ts';
import { payloadBytes } from './entry-size.ts';
import { draft } from './message.ts';
import { describeProgress, type Progress } from './progress.ts';
import type { NodeId } from './quorum.ts';
import type { Raft } from './raft.ts';

const noEntries: readonly Entry[] = Object.freeze([]);

/** To every member but ourselves, what it lacks; at least the commit index. */
export function broadcastAppend(raft: Raft): void {
  const members = raft.tracker.members;
  for (let i = 0; i < members.length; i++) {
    const [id, progress] = members[i]!;
    if (id !== raft.id) sendAppend(raft, id, progress, true);
  }
}

/**
 * Sends the next entries to a member, as many as one message holds; a snapshot where our log does not reach back far enough; without entries
 * to send only the commit index, if `evenEmpty`. False when nothing was sent.
 */
export function sendAppend(raft: Raft, to: NodeId, progress: Progress, evenEmpty: boolean): boolean {
  if (progress.isPaused) return false;
  const { log } = raft;
  const previousIndex = progress.next - 1;
  const previousTerm = log.term(previousIndex);
  if (previousTerm === undefined) return sendSnapshot(raft, to, progress);
  let entries: readonly Entry[] | undefined = noEntries;
  // With a full window an empty message still goes out now and then: its answer shows whether what was sent has been lost.
  if (progress.state !== 'StateReplicate' || !progress.inflights.full)
    entries = log.entries(progress.next, raft.settings.messageBytesMax);
  if (entries === undefined) return sendSnapshot(raft, to, progress);
  if (entries.length === 0 && !evenEmpty) return false;
  const message = draft(MessageType.MsgApp, to);
  message.index = previousIndex;
  message.logTerm = previousTerm;
  message.entries = entries;
  message.commit = log.committed;
  raft.send(message);
  progress.sentEntries(entries.length, payloadBytes(entries));
  progress.sentCommit = log.committed;
  return true;
}

function sendSnapshot(raft: Raft, to: NodeId, progress: Progress): boolean {
  const { log, logger } = raft;
  // Snapshots are large: whoever is not there does not get one.
  if (!progress.recentActive) {
    logger.debug?.(`ignore sending snapshot to ${to.toString(16)} since it is not recently active`);
    return false;
  }
  const snapshot = log.snapshot();
  if (snapshot === undefined) {
    logger.debug?.(
      `${raft.name} failed to send snapshot to ${to.toString(16)} because snapshot is temporarily unavailable`,
    );
    return false;
  }
  const { index, term } = snapshot.metadata;
  assert(index > 0, 'need non-empty snapshot');
  logger.debug?.(
    `${raft.name} [firstindex: ${log.firstIndex()}, commit: ${log.committed}] sent snapshot[index: ${index}, term: ${term}] to ${to.toString(16)} [${describeProgress(progress)}]`,
  );
  progress.becomeSnapshot(index);
  logger.debug?.(
    `${raft.name} paused sending replication messages to ${to.toString(16)} [${describeProgress(progress)}]`,
  );
  const message = draft(MessageType.MsgSnap, to);
  message.snapshot = snapshot;
  raft.send(message);
  return true;
}

/** A sign of life to every other member, with the question of the reads that wait, if any. */
export function broadcastHeartbeat(raft: Raft): void {
  const context = raft.reads.heartbeatContext();
  for (const [id, progress] of raft.tracker.members) {
    if (id === raft.id) continue;
    const message = draft(MessageType.MsgHeartbeat, id);
    // A follower must not commit what it may not have: only what is known to match.
    message.commit = Math.min(progress.match, raft.log.committed);
    message.context = context;
    raft.send(message);
    progress.sentCommit = message.commit;
  }
}

/**
 * Commits what is on a majority, if it is of our own term (Raft, 5.4.2: what older terms left is committed along with it). True when the
 * commit index has moved.
 */
export function maybeCommit(raft: Raft): boolean {
  const { log } = raft;
  const index = raft.tracker.committed();
  if (index <= log.committed || !log.matchTerm(index, raft.term)) return false;
  log.commitTo(index);
  return true;
}

/**
 * Appends entries to the leader's own log, giving them term and index. They count as ours when they are on disk: until then the confirmation
 * to ourselves waits. False when there is too much uncommitted already.
 */
export function appendEntries(raft: Raft, entries: readonly Entry[]): boolean {
  const { log } = raft;
  if (!reserveUncommitted(raft, payloadBytes(entries))) {
    raft.logger.warning?.(
      `${raft.name} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`,
    );
    return false;
  }
  const first = log.lastIndex() + 1;
  const own: Entry[] = [];
  for (let i = 0; i < entries.length; i++) {
    const { type, data } = entries[i]!;
    own.push({ type, term: raft.term, index: first + i, data });
  }
  raft.sendAppendResponse(raft.id, log.append(own));
  return true;
}

/** An empty log takes a proposal of any size, and an entry without data is always taken: leaving a joint configuration depends on it. */
function reserveUncommitted(raft: Raft, bytes: number): boolean {
  if (raft.uncommittedBytes > 0 && bytes > 0 && raft.uncommittedBytes + bytes > raft.settings.uncommittedBytesMax)
    return false;
  raft.uncommittedBytes += bytes;
  return true;
}
