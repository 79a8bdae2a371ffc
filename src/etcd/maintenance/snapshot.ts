/**
 * Snapshot: the backend file of this moment as a stream, then its SHA-256. It is laid out while it is sent, from a fork: nothing waits
 * for it, and nothing of it is kept.
 */
import { createHash } from 'node:crypto';
import { SnapshotResponse } from '#api-etcd/gen/rpc.ts';
import { nextTurn } from '#host/event-loop.ts';
import type { Sink } from '#rpc/call.ts';
import { backendFile } from '../checkpoint/backend.ts';
import type { Member } from '../member.ts';

/** Bytes a message. */
const blobBytes = 32 << 10;
/** Messages in one turn of the event loop. */
const messagesPerTurn = 8;

export async function sendSnapshot(member: Member, sink: Sink<SnapshotResponse>): Promise<void> {
  const file = await backendFile(member.machine.fork(), member.applied);
  const hash = createHash('sha256');
  let left = file.size;
  let sent = 0;
  for (const blob of inBlobs(file.pages())) {
    hash.update(blob);
    left -= blob.length;
    const room = sink.send(SnapshotResponse.create({ remainingBytes: left, blob }));
    if (!room) await sink.drained();
    else if (++sent % messagesPerTurn === 0) await nextTurn();
  }
  sink.send(SnapshotResponse.create({ blob: hash.digest() }));
}

function* inBlobs(pages: Iterable<Buffer>): Generator<Buffer> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  for (const page of pages) {
    held.push(page);
    heldBytes += page.length;
    if (heldBytes < blobBytes) continue;
    const joined = Buffer.concat(held);
    let at = 0;
    for (; joined.length - at >= blobBytes; at += blobBytes) yield joined.subarray(at, at + blobBytes);
    held = [joined.subarray(at)];
    heldBytes = joined.length - at;
  }
  if (heldBytes > 0) yield Buffer.concat(held);
}
