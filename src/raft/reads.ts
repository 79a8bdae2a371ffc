/** ReadIndex at the leader (dissertation, 6.4): reads that are as new as any write, without going through the log. */
import { type Message, MessageType } from '#api-etcd/gen/raft.ts';
import { draft, noNode } from './message.ts';
import { readsMax } from './options.ts';
import type { Raft } from './raft.ts';
import { broadcastHeartbeat } from './replication.ts';

export function handleReadIndex(raft: Raft, request: Message): void {
  if (isAlone(raft) && raft.committedInTerm) {
    answer(raft, request, raft.log.committed);
    return;
  }
  if (raft.reads.length + raft.pendingReads.length >= readsMax) {
    raft.logger.warning?.(
      `${raft.name} has ${readsMax} reads waiting at term ${raft.term}; dropping index reading msg`,
    );
    return;
  }
  // Before its first commit a new leader does not know what its predecessors have committed. That holds for one who is alone, too: it may have been started
  // anew, and what it had told clients is in its log, but not yet among what is committed. (Upstream answers such a one at once.)
  if (raft.committedInTerm) confirm(raft, request);
  else raft.pendingReads.push(request);
}

/** The first entry of the term is committed: those who waited for it go on. */
export function releasePendingReads(raft: Raft): void {
  if (raft.pendingReads.length === 0) return;
  if (!raft.committedInTerm) {
    raft.logger.error?.('pending MsgReadIndex should be released only after first commit in current term');
    return;
  }
  const requests = raft.pendingReads;
  raft.pendingReads = [];
  for (const request of requests) confirm(raft, request);
}

/** The only voter: there is nobody to ask. */
function isAlone(raft: Raft): boolean {
  const { incoming, outgoing } = raft.tracker.configuration;
  return incoming.length === 1 && outgoing.length === 0;
}

function confirm(raft: Raft, request: Message): void {
  if (raft.settings.readOnly === 'lease-based' || isAlone(raft)) {
    answer(raft, request, raft.log.committed);
    return;
  }
  raft.reads.add(request, raft.log.committed);
  raft.reads.confirmOurselves(raft.id);
  broadcastHeartbeat(raft);
}

/** An answer to a heartbeat says that the sender still takes us for the leader. */
export function answerConfirmedReads(raft: Raft, from: bigint, context: Uint8Array): void {
  if (raft.settings.readOnly !== 'safe' || context.length === 0) return;
  raft.reads.acknowledge(from, context);
  for (const { request, index } of raft.reads.takeConfirmed(raft.tracker.configuration)) answer(raft, request, index);
}

function answer(raft: Raft, request: Message, index: number): void {
  if (request.from === noNode || request.from === raft.id) {
    raft.readStates.push({ index, context: request.entries[0]?.data });
    return;
  }
  const response = draft(MessageType.MsgReadIndexResp, request.from);
  response.index = index;
  response.entries = request.entries;
  raft.send(response);
}
