/**
 * A list of stored objects as protobuf. Its length stands before the items, so all of them are made first: in slices, for each may have to be
 * parsed and encoded anew. What is sent are pieces, so that the list stands in memory once.
 */
import { inSlices } from '#host/event-loop.ts';
import { listEnvelope, listItemHead } from '#kube-machinery/protobuf-encoder.ts';
import type { HttpResponse } from '#transport/http.ts';
import type { StoredObject } from '../storage/stored-object.ts';
import type { ListMeta } from './partial-metadata.ts';

/** Bytes of messages that are made in one turn: a few milliseconds, where nothing is known of them yet. */
const sliceBytes = 64 << 10;
const pieceBytes = 256 << 10;

export interface ListType {
  readonly apiVersion: string;
  /** Of the list. */
  readonly kind: string;
  readonly meta: ListMeta;
}

/** @param messageOf an item's message. @throws what it throws, before anything is sent */
export async function encodeListProtobuf(
  items: readonly StoredObject[],
  messageOf: (item: StoredObject) => Buffer,
  { apiVersion, kind, meta }: ListType,
): Promise<HttpResponse['body']> {
  const parts: Buffer[] = [];
  const bytes = await inSlices(partsOf(items, messageOf, parts));
  const { head, tail } = listEnvelope(apiVersion, kind, meta, bytes);
  const all = [head, ...parts, tail];
  return bytes <= pieceBytes ? Buffer.concat(all) : pieces(all);
}

/** Adds each item's head and message to `parts`. @returns their bytes */
function* partsOf(
  items: readonly StoredObject[],
  messageOf: (item: StoredObject) => Buffer,
  parts: Buffer[],
): Generator<void, number> {
  let bytes = 0;
  let sliceEnd = sliceBytes;
  for (const item of items) {
    if (bytes >= sliceEnd) {
      yield;
      sliceEnd = bytes + sliceBytes;
    }
    const message = messageOf(item);
    const head = listItemHead(message.length);
    parts.push(head, message);
    bytes += head.length + message.length;
  }
  return bytes;
}

/** Pieces of about {@link pieceBytes}; larger where one object is. */
async function* pieces(parts: readonly Buffer[]): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for (const part of parts) {
    if (bytes > 0 && bytes + part.length > pieceBytes) {
      yield Buffer.concat(waiting, bytes);
      waiting = [];
      bytes = 0;
    }
    waiting.push(part);
    bytes += part.length;
  }
  yield Buffer.concat(waiting, bytes);
}
