/** Whole tar archives as lists of entries with their bytes, for tests of the streaming reader and writer. */
import type { TarEntry } from '#wire/tar/entry.ts';
import { TarReader } from '#wire/tar/reader.ts';
import { encodeTarHeader, tarPadding, tarTrailerBytes } from '#wire/tar/writer.ts';

export type TarItem = { entry: TarEntry; data: Buffer };

export function writeTar(items: readonly TarItem[]): Buffer {
  const chunks: Uint8Array[] = [];
  for (const { entry, data } of items) chunks.push(encodeTarHeader(entry), data, Buffer.alloc(tarPadding(data.length)));
  return Buffer.concat([...chunks, Buffer.alloc(tarTrailerBytes)]);
}

/** @param pieceBytes how many the reader gets at a time */
export function readTar(bytes: Uint8Array, pieceBytes = bytes.length): TarItem[] {
  const reader = new TarReader();
  const items: TarItem[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    reader.push(bytes.subarray(at, at + pieceBytes));
    for (let event = reader.next(); event !== undefined; event = reader.next())
      if (event.kind === 'entry') items.push({ entry: event.entry, data: Buffer.alloc(0) });
      else if (event.kind === 'data') items.at(-1)!.data = Buffer.concat([items.at(-1)!.data, event.data]);
  }
  reader.finish();
  return items;
}
