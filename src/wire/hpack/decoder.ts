/** Decodes header blocks (RFC 7541): one decoder a connection and direction, fed complete blocks in order. */
import { huffmanDecode } from './huffman.ts';
import { staticTable } from './static-table.ts';

export type Header = readonly [name: string, value: string];

/** The peer broke compression: the connection cannot go on (COMPRESSION_ERROR). */
export class HpackError extends Error {
  override readonly name = 'HpackError';
}

/** The block is well-formed but lists more than allowed: the stream is refused, the connection goes on. */
export class HeaderListTooLargeError extends Error {
  override readonly name = 'HeaderListTooLargeError';
}

/** What an entry counts for besides its characters (RFC 7541 section 4.1). */
const entryOverhead = 32;
const cachedBlocksMax = 256;
const cachedBlockBytesMax = 512;

export class HpackDecoder {
  /** Newest first. */
  #table: Header[] = [];
  #tableBytes = 0;
  #tableBytesMax: number;
  /** What we announced (SETTINGS_HEADER_TABLE_SIZE): the peer may not ask for more. */
  readonly #tableBytesLimit: number;
  readonly #listBytesMax: number;
  /** Blocks that neither read nor change the dynamic table decode to the same headers for ever. */
  readonly #cache = new Map<string, readonly Header[]>();

  constructor({
    tableBytesMax = 4096,
    listBytesMax,
  }: { readonly tableBytesMax?: number; readonly listBytesMax: number }) {
    this.#tableBytesMax = tableBytesMax;
    this.#tableBytesLimit = tableBytesMax;
    this.#listBytesMax = listBytesMax;
  }

  /** @throws HpackError, HeaderListTooLargeError (the dynamic table is up to date after the latter) */
  decode(block: Buffer): readonly Header[] {
    const key = block.length <= cachedBlockBytesMax ? block.toString('latin1') : undefined;
    const cached = key === undefined ? undefined : this.#cache.get(key);
    if (cached !== undefined) return cached;
    const headers: Header[] = [];
    let listBytes = 0;
    let touchesTable = false;
    let at = 0;
    const integer = (prefixBits: number): number => {
      const mask = (1 << prefixBits) - 1;
      let value = block[at++]! & mask;
      if (value < mask) return value;
      for (let shift = 0; shift <= 28; shift += 7) {
        if (at >= block.length) throw new HpackError('integer is cut off');
        const byte = block[at++]!;
        value += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) return value;
      }
      throw new HpackError('integer is too large');
    };
    const string = (): string => {
      if (at >= block.length) throw new HpackError('string is cut off');
      const huffman = (block[at]! & 0x80) !== 0;
      const length = integer(7);
      const start = at;
      if (length > block.length - start) throw new HpackError('string is cut off');
      at += length;
      if (!huffman) return block.toString('latin1', start, at);
      try {
        return huffmanDecode(block, start, at);
      } catch (error) {
        throw new HpackError((error as Error).message);
      }
    };
    const entry = (index: number): Header => {
      if (index === 0) throw new HpackError('index 0');
      if (index <= staticTable.length) return staticTable[index - 1]!;
      touchesTable = true;
      const found = this.#table[index - staticTable.length - 1];
      if (found === undefined) throw new HpackError(`no entry at index ${index}`);
      return found;
    };
    while (at < block.length) {
      const first = block[at]!;
      let header: Header;
      if (first & 0x80) header = entry(integer(7));
      else if ((first & 0xe0) === 0x20) {
        if (headers.length > 0) throw new HpackError('table size update after a header');
        const size = integer(5);
        if (size > this.#tableBytesLimit) throw new HpackError('table size update beyond the limit');
        this.#tableBytesMax = size;
        this.#evict(0);
        touchesTable = true;
        continue;
      } else {
        const indexed = (first & 0x40) !== 0;
        const index = integer(indexed ? 6 : 4);
        const name = index === 0 ? string() : entry(index)[0];
        header = [name, string()];
        if (indexed) {
          this.#insert(header);
          touchesTable = true;
        }
      }
      listBytes += header[0].length + header[1].length + entryOverhead;
      if (listBytes <= this.#listBytesMax) headers.push(header);
    }
    if (listBytes > this.#listBytesMax)
      throw new HeaderListTooLargeError(`header list of ${listBytes} bytes is over ${this.#listBytesMax}`);
    if (key !== undefined && !touchesTable && this.#cache.size < cachedBlocksMax) this.#cache.set(key, headers);
    return headers;
  }

  #insert(header: Header): void {
    const bytes = header[0].length + header[1].length + entryOverhead;
    this.#evict(bytes);
    if (bytes > this.#tableBytesMax) return;
    this.#table.unshift(header);
    this.#tableBytes += bytes;
  }

  #evict(room: number): void {
    while (this.#tableBytes > 0 && this.#tableBytes + room > this.#tableBytesMax) {
      const [name, value] = this.#table.pop()!;
      this.#tableBytes -= name.length + value.length + entryOverhead;
    }
  }
}
