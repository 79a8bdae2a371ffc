/** What a folder's state becomes when the whole log after it counts as committed, without a member that runs. */
import { ConfChange, EntryType } from '#api-etcd/gen/raft.ts';
import { InternalRaftRequest } from '#api-etcd/gen/raft_internal.ts';
import { RpcError } from '#wire/grpc/status.ts';
import { ProtobufError } from '#wire/protobuf/message.ts';
import type { Machine } from '../machine.ts';
import { applyV2Request } from '../v2-request.ts';
import type { OpenFolder } from './open.ts';

/** A machine of its own; the folder's is left as it is. */
export function replayed({ machine, applied, entries }: OpenFolder): Machine {
  const replay = machine.fork();
  for (const { type, index, data } of entries) {
    if (index <= applied.index || data === undefined || data.length === 0) continue;
    if (type === EntryType.EntryConfChange) applyChange(replay, ConfChange.decode(data));
    else if (type === EntryType.EntryNormal) apply(replay, data);
  }
  return replay;
}

/** A change that was refused when it was applied is refused here. */
function applyChange({ members }: Machine, change: ConfChange): void {
  try {
    // How many learners the member would have let in is not in its folder.
    members.check(change, Number.POSITIVE_INFINITY);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return;
  }
  members.apply(change);
}

function apply(machine: Machine, data: Uint8Array): void {
  try {
    machine.apply(InternalRaftRequest.decode(data));
  } catch (error) {
    if (!(error instanceof ProtobufError)) throw error;
    applyV2Request(machine, data);
  }
}
