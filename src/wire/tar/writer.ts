/**
 * Writes tar archives: ustar where an entry fits, with a pax extended header before it where it does not. The same entries
 * give the same bytes. Pure: whoever calls sends the data between header and padding.
 */
import { assert } from '#std/assert.ts';
import { utf8Encode } from '#std/bytes.ts';
import { blockBytes, type TarEntry, type TarEntryType } from './entry.ts';
import { encodePaxRecords, encodePaxTime, xattrPrefix } from './pax.ts';

/** Two zero blocks: the end marker. */
export const tarTrailerBytes = 2 * blockBytes;

const flags: Readonly<Record<TarEntryType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** All header blocks of an entry. `entry.size` bytes of data and `tarPadding(entry.size)` zeros must follow. */
export function encodeTarHeader(entry: TarEntry): Buffer {
  assert(entry.type === 'file' || entry.size === 0, 'only files have data');
  const records = new Map<string, Uint8Array>();
  const name = utf8Encode(entry.name);
  const linkName = utf8Encode(entry.linkName);
  if (name.length > 100 || !isAscii(name)) records.set('path', name);
  if (linkName.length > 100 || !isAscii(linkName)) records.set('linkpath', linkName);
  if (entry.size > 0o77777777777) records.set('size', utf8Encode(String(entry.size)));
  if (entry.uid > 0o7777777) records.set('uid', utf8Encode(String(entry.uid)));
  if (entry.gid > 0o7777777) records.set('gid', utf8Encode(String(entry.gid)));
  if (entry.mtime.nanoseconds !== 0 || entry.mtime.seconds < 0 || entry.mtime.seconds > 0o77777777777)
    records.set('mtime', encodePaxTime(entry.mtime));
  const userName = utf8Encode(entry.userName);
  const groupName = utf8Encode(entry.groupName);
  if (userName.length > 32 || !isAscii(userName)) records.set('uname', userName);
  if (groupName.length > 32 || !isAscii(groupName)) records.set('gname', groupName);
  for (const key of [...entry.xattrs.keys()].sort()) records.set(xattrPrefix + key, entry.xattrs.get(key)!);

  const main = encodeBlock(entry, name, linkName);
  if (records.size === 0) return main;
  const data = encodePaxRecords(records);
  const extension = encodeBlock(
    { ...entry, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 }, size: data.length },
    utf8Encode(`PaxHeaders/${entry.name.split('/').filter(Boolean).at(-1) ?? ''}`),
    new Uint8Array(0),
    'x',
  );
  return Buffer.concat([extension, data, Buffer.alloc(tarPadding(data.length)), main]);
}

/** Zeros after `size` bytes of data. */
export function tarPadding(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes;
}

function encodeBlock(entry: TarEntry, name: Uint8Array, linkName: Uint8Array, flag = flags[entry.type]): Buffer {
  const block = Buffer.alloc(blockBytes);
  block.set(name.subarray(0, 100), 0);
  octal(block, 100, 8, entry.mode & 0o7777);
  octal(block, 108, 8, entry.uid > 0o7777777 ? 0 : entry.uid);
  octal(block, 116, 8, entry.gid > 0o7777777 ? 0 : entry.gid);
  octal(block, 124, 12, entry.size > 0o77777777777 ? 0 : entry.size);
  octal(block, 136, 12, Math.min(Math.max(entry.mtime.seconds, 0), 0o77777777777));
  block.fill(0x20, 148, 156);
  block.write(flag, 156, 'latin1');
  block.set(linkName.subarray(0, 100), 157);
  block.write('ustar\x0000', 257, 'latin1');
  block.set(utf8Encode(entry.userName).subarray(0, 32), 265);
  block.set(utf8Encode(entry.groupName).subarray(0, 32), 297);
  if (entry.type === 'character' || entry.type === 'block') {
    octal(block, 329, 8, entry.major);
    octal(block, 337, 8, entry.minor);
  }
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
}

function isAscii(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte > 0x7e || byte < 0x20) return false;
  return true;
}
