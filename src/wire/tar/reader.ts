/**
 * Reads a tar archive as it arrives, in pieces of any size. Pure: bytes in, entries and views of their data out.
 * Entries are trusted in nothing but their syntax.
 */
import { assert } from '#std/assert.ts';
import { blockBytes, type TarEntry, type TarEntryType, TarError } from './entry.ts';
import { decimal, decodePaxRecords, decodePaxTime, type PaxRecords, xattrPrefix } from './pax.ts';

/** Bytes of one pax header or GNU long name. */
export const extensionBytesMax = 1 << 20;

export type TarEvent =
  | { readonly kind: 'entry'; readonly entry: TarEntry }
  /** Some data of the latest entry: a view of what was pushed, good until the next `push`. */
  | { readonly kind: 'data'; readonly data: Uint8Array }
  /** The latest entry's data is complete. Comes for every entry. */
  | { readonly kind: 'entry-end' };

type State =
  | { readonly kind: 'header' }
  | { readonly kind: 'extension'; readonly flag: string; readonly data: Buffer; filled: number; padding: number }
  | { readonly kind: 'data'; left: number; padding: number }
  | { readonly kind: 'skip'; left: number }
  | { readonly kind: 'end' };

const noRecords: PaxRecords = new Map();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** `push` bytes, then call `next` until it gives undefined; `finish` when there are no more. */
export class TarReader {
  #state: State = { kind: 'header' };
  #input: Uint8Array = Buffer.alloc(0);
  #at = 0;
  /** A header block that arrived in pieces. */
  readonly #block = Buffer.alloc(blockBytes);
  #blockFilled = 0;
  #zeroBlocks = 0;
  #global: PaxRecords = noRecords;
  #local: PaxRecords = noRecords;
  #longName: string | undefined;
  #longLink: string | undefined;

  /** Hands over the next bytes; all of the earlier ones must have been read by `next`. */
  push(bytes: Uint8Array): void {
    assert(this.#at === this.#input.length, 'push before next gave undefined');
    this.#input = bytes;
    this.#at = 0;
  }

  /** The archive's end marker was read; what follows is ignored. */
  get ended(): boolean {
    return this.#state.kind === 'end';
  }

  /** The next event; undefined when more bytes are needed. Throws TarError. */
  next(): TarEvent | undefined {
    for (;;) {
      const state = this.#state;
      if (state.kind === 'end') {
        this.#at = this.#input.length;
        return undefined;
      }
      if (state.kind === 'data') {
        if (state.left === 0) {
          this.#state = { kind: 'skip', left: state.padding };
          return { kind: 'entry-end' };
        }
        const data = this.#take(state.left);
        if (data.length === 0) return undefined;
        state.left -= data.length;
        return { kind: 'data', data };
      }
      if (state.kind === 'skip') {
        state.left -= this.#take(state.left).length;
        if (state.left > 0) return undefined;
        this.#state = { kind: 'header' };
      } else if (state.kind === 'extension') {
        const part = this.#take(state.data.length - state.filled);
        state.data.set(part, state.filled);
        state.filled += part.length;
        if (state.filled < state.data.length) return undefined;
        this.#extend(state.flag, state.data);
        this.#state = { kind: 'skip', left: state.padding };
      } else {
        const part = this.#take(blockBytes - this.#blockFilled);
        this.#block.set(part, this.#blockFilled);
        this.#blockFilled += part.length;
        if (this.#blockFilled < blockBytes) return undefined;
        this.#blockFilled = 0;
        const event = this.#header(this.#block);
        if (event !== undefined) return event;
      }
    }
  }

  /** No more bytes come. Throws TarError when the archive stops inside an entry; a missing end marker is forgiven, as GNU tar does. */
  finish(): void {
    const { kind } = this.#state;
    if (kind === 'end' || (kind === 'header' && this.#blockFilled === 0 && !this.#extended)) return;
    throw new TarError('unexpected end of tar archive');
  }

  get #extended(): boolean {
    return this.#local !== noRecords || this.#longName !== undefined || this.#longLink !== undefined;
  }

  #take(bytesMax: number): Uint8Array {
    const end = Math.min(this.#input.length, this.#at + bytesMax);
    const taken = this.#input.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  #header(block: Buffer): TarEvent | undefined {
    if (isZero(block)) {
      if (++this.#zeroBlocks === 2) this.#state = { kind: 'end' };
      return undefined;
    }
    this.#zeroBlocks = 0;
    verifyChecksum(block);
    const flag = String.fromCharCode(block[156]!);
    const rawSize = numeric(block, 124, 12);
    if (flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K') {
      if (rawSize > extensionBytesMax)
        throw new TarError(`tar extension header of ${rawSize} bytes, over ${extensionBytesMax}`);
      this.#state = { kind: 'extension', flag, data: Buffer.alloc(rawSize), filled: 0, padding: padding(rawSize) };
      return undefined;
    }
    const entry = this.#entry(block, flag, rawSize);
    this.#local = noRecords;
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#state = { kind: 'data', left: entry.size, padding: padding(entry.size) };
    return { kind: 'entry', entry };
  }

  #extend(flag: string, data: Buffer): void {
    if (flag === 'L') this.#longName = text(untilNul(data));
    else if (flag === 'K') this.#longLink = text(untilNul(data));
    else {
      const records = decodePaxRecords(data);
      for (const key of records.keys()) if (key.startsWith('GNU.sparse.')) throw new TarError('sparse tar entry');
      if (flag === 'x') this.#local = new Map([...this.#local, ...records]);
      else this.#global = new Map([...this.#global, ...records]);
    }
  }

  #entry(block: Buffer, flag: string, rawSize: number): TarEntry {
    const posix = block.toString('latin1', 257, 263) === 'ustar\0';
    // An empty value deletes the record (pax): what the header itself says stands.
    const record = (key: string) => {
      const value = this.#local.get(key) ?? this.#global.get(key);
      return value === undefined || value.length === 0 ? undefined : value;
    };
    const number = (key: string, otherwise: () => number) => {
      const value = record(key);
      if (value === undefined) return otherwise();
      const parsed = decimal(value);
      if (Number.isNaN(parsed)) throw new TarError(`malformed ${key} in pax extended header`);
      return parsed;
    };
    const path = record('path');
    let name = path === undefined ? (this.#longName ?? text(untilNul(block.subarray(0, 100)))) : text(path);
    if (posix && path === undefined && this.#longName === undefined) {
      const prefix = text(untilNul(block.subarray(345, 500)));
      if (prefix !== '') name = `${prefix}/${name}`;
    }
    const linkPath = record('linkpath');
    const type = typeOf(flag, name);
    const time = record('mtime');
    const size = number('size', () => rawSize);
    const device = type === 'character' || type === 'block';
    if (name === '' || name.includes('\0')) throw new TarError('tar entry without a name');
    return {
      name,
      type,
      mode: numeric(block, 100, 8) & 0o7777,
      uid: number('uid', () => numeric(block, 108, 8)),
      gid: number('gid', () => numeric(block, 116, 8)),
      userName: text(record('uname') ?? untilNul(block.subarray(265, 297))),
      groupName: text(record('gname') ?? untilNul(block.subarray(297, 329))),
      size: type === 'file' ? size : 0,
      mtime: time === undefined ? { seconds: signedNumeric(block, 136, 12), nanoseconds: 0 } : decodePaxTime(time),
      linkName:
        type !== 'link' && type !== 'symlink'
          ? ''
          : linkPath === undefined
            ? (this.#longLink ?? text(untilNul(block.subarray(157, 257))))
            : text(linkPath),
      major: device ? numeric(block, 329, 8) : 0,
      minor: device ? numeric(block, 337, 8) : 0,
      xattrs: this.#xattrs(),
    };
  }

  #xattrs(): ReadonlyMap<string, Uint8Array> {
    const xattrs = new Map<string, Uint8Array>();
    for (const records of [this.#global, this.#local])
      for (const [key, value] of records)
        if (key.startsWith(xattrPrefix)) xattrs.set(key.slice(xattrPrefix.length), value);
    return xattrs;
  }
}

function typeOf(flag: string, name: string): TarEntryType {
  switch (flag) {
    case '0':
    case '7':
      return 'file';
    case '\0':
      // Archives from before ustar mark folders by a trailing slash alone.
      return name.endsWith('/') ? 'directory' : 'file';
    case '1':
      return 'link';
    case '2':
      return 'symlink';
    case '3':
      return 'character';
    case '4':
      return 'block';
    case '5':
      return 'directory';
    case '6':
      return 'fifo';
    case 'S':
      throw new TarError('sparse tar entry');
    default:
      throw new TarError(`unknown tar entry type ${JSON.stringify(flag)}`);
  }
}

function padding(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes;
}

function isZero(block: Buffer): boolean {
  for (let i = 0; i < blockBytes; i++) if (block[i] !== 0) return false;
  return true;
}

/** Old tars summed signed characters; either sum will do. */
function verifyChecksum(block: Buffer): void {
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < blockBytes; i++) {
    const byte = i >= 148 && i < 156 ? 0x20 : block[i]!;
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const stated = numeric(block, 148, 8);
  if (stated !== unsigned && stated !== signed) throw new TarError('tar header checksum mismatch');
}

function numeric(block: Buffer, at: number, length: number): number {
  const value = signedNumeric(block, at, length);
  if (value < 0) throw new TarError('negative number in tar header');
  return value;
}

/** Octal digits between spaces and NULs, or GNU's base-256: a set top bit, then a big-endian two's complement. */
function signedNumeric(block: Buffer, at: number, length: number): number {
  const first = block[at]!;
  if ((first & 0x80) !== 0) {
    let value = (first & 0x40) === 0 ? first & 0x3f : (first & 0x7f) - 0x80;
    for (let i = 1; i < length; i++) {
      value = value * 256 + block[at + i]!;
      if (!Number.isSafeInteger(value)) throw new TarError('number in tar header is too large');
    }
    return value;
  }
  let value = 0;
  let digits = false;
  for (let i = 0; i < length; i++) {
    const byte = block[at + i]!;
    if (byte === 0 || byte === 0x20) {
      if (digits) break;
      continue;
    }
    if (byte < 0x30 || byte > 0x37) throw new TarError('malformed number in tar header');
    digits = true;
    value = value * 8 + (byte - 0x30);
  }
  return value;
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

function text(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new TarError('name in tar header is not valid UTF-8');
  }
}
