/** What a leader sends, at the receiving end: entries, the commit index, snapshots. */
import { type ConfState, type Message, MessageType, Snapshot } from '#api-etcd/gen/raft.ts';
import { configurationOf } from './configuration.ts';
import { switchToConfiguration } from './membership.ts';
import { draft, noNode } from './message.ts';
import type { Raft } from './raft.ts';
import { becomeFollower } from './roles.ts';
import { Tracker } from './tracker.ts';

export function handleAppend(raft: Raft, message: Message): void {
  const { log } = raft;
  if (message.index < log.committed) {
    // Old news, or a leader that probes too far back. What is committed is the same on both sides.
    raft.sendAppendResponse(message.from, log.committed);
    return;
  }
  const last = log.maybeAppend(message.index, message.logTerm, message.entries, message.commit);
  if (last !== undefined) {
    raft.sendAppendResponse(message.from, last);
    return;
  }
  raft.logger.debug?.(
    `${raft.name} [logterm: ${log.term(message.index) ?? 0}, index: ${message.index}] rejected MsgApp [logterm: ${message.logTerm}, index: ${message.index}] from ${message.from.toString(16)}`,
  );
  // The leader has a term of at most `logTerm` there and before: no higher one of ours can agree. One answer skips all of them.
  const hint = log.findConflictByTerm(Math.min(message.index, log.lastIndex()), message.logTerm);
  const response = draft(MessageType.MsgAppResp, message.from);
  response.index = message.index;
  response.reject = true;
  response.rejectHint = hint;
  response.logTerm = log.term(hint) ?? 0;
  raft.send(response);
}

export function handleHeartbeat(raft: Raft, message: Message): void {
  raft.log.commitTo(message.commit);
  const response = draft(MessageType.MsgHeartbeatResp, message.from);
  response.context = message.context;
  raft.send(response);
}

export function handleSnapshot(raft: Raft, message: Message): void {
  const snapshot = message.snapshot ?? Snapshot.create();
  const { index, term } = snapshot.metadata;
  const restored = restore(raft, snapshot);
  raft.logger.info?.(
    `${raft.name} [commit: ${raft.log.committed}] ${restored ? 'restored' : 'ignored'} snapshot [index: ${index}, term: ${term}]`,
  );
  raft.sendAppendResponse(message.from, restored ? raft.log.lastIndex() : raft.log.committed);
}

/** Replaces log and configuration by a snapshot. False when there is no need, or when it is not for us. */
function restore(raft: Raft, snapshot: Snapshot): boolean {
  const { log, logger, name } = raft;
  const { index, term, confState } = snapshot.metadata;
  if (index <= log.committed) return false;
  if (raft.state !== 'StateFollower') {
    // Whoever gets here has become a follower first. If not, nothing of ours may be replaced.
    logger.warning?.(`${name} attempted to restore snapshot as leader; should never happen`);
    becomeFollower(raft, raft.term + 1, noNode);
    return false;
  }
  if (!belongsTo(confState, raft.id)) {
    logger.warning?.(`${name} attempted to restore snapshot but it is not in the ConfState; should never happen`);
    return false;
  }
  const position = `[index: ${index}, term: ${term}]`;
  if (log.matchTerm(index, term)) {
    // Our log has all of it: the entries after it are worth keeping.
    logger.info?.(`${describeLog(raft)} fast-forwarded commit to snapshot ${position}`);
    log.commitTo(index);
    return false;
  }
  log.restore(snapshot);
  // Nothing that was known of the members counts any more.
  raft.tracker = new Tracker(raft.settings.inflightMessagesMax, raft.settings.inflightBytesMax);
  switchToConfiguration(raft, configurationOf(confState));
  logger.info?.(`${describeLog(raft)} restored snapshot ${position}`);
  return true;
}

function belongsTo({ voters, learners, votersOutgoing }: ConfState, id: bigint): boolean {
  return voters.includes(id) || learners.includes(id) || votersOutgoing.includes(id);
}

function describeLog({ name, log }: Raft): string {
  return `${name} [commit: ${log.committed}, lastindex: ${log.lastIndex()}, lastterm: ${log.lastTerm()}]`;
}
