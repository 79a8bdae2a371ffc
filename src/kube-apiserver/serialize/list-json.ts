/**
 * A list of stored objects as JSON: their bytes one after the other, copied from what the store holds. Long lists are made piece by piece as the
 * reader takes them, so that no list holds up the others or stands in memory twice.
 */
import type { HttpResponse } from '#transport/http.ts';
import type { StoredObject } from '../storage/stored-object.ts';

const pieceBytes = 256 << 10;
const end = ']}\n';
const comma = 0x2c;

/** @param list `kind`, `apiVersion` and `metadata` */
export function encodeListJson(items: readonly StoredObject[], list: object): HttpResponse['body'] {
  const head = Buffer.from(`${JSON.stringify(list).slice(0, -1)},"items":[`);
  let bytes = head.length + end.length;
  for (const item of items) {
    bytes += item.size + 1;
    if (bytes > pieceBytes) return pieces(items, head);
  }
  const body = Buffer.allocUnsafe(bytes);
  let at = head.copy(body);
  for (const [index, item] of items.entries()) {
    if (index > 0) body[at++] = comma;
    at = item.writeItem(body, at);
  }
  at += body.write(end, at, 'latin1');
  return body.subarray(0, at);
}

/** Pieces of about {@link pieceBytes}; larger where one object is. */
async function* pieces(items: readonly StoredObject[], head: Buffer): AsyncGenerator<Buffer> {
  let piece = Buffer.allocUnsafe(pieceBytes);
  let at = head.copy(piece);
  for (const [index, item] of items.entries()) {
    const { size } = item;
    if (at + size + 1 + end.length > piece.length) {
      yield piece.subarray(0, at);
      piece = Buffer.allocUnsafe(Math.max(pieceBytes, size + 1 + end.length));
      at = 0;
    }
    if (index > 0) piece[at++] = comma;
    at = item.writeItem(piece, at);
  }
  at += piece.write(end, at, 'latin1');
  yield piece.subarray(0, at);
}
