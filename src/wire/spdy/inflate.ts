/**
 * Zlib data that comes in pieces, each flushed to a whole byte (Z_SYNC_FLUSH), as SPDY compresses its header blocks. RFC 1950 and RFC 1951.
 * Small inputs: written to be read, not for speed.
 */

export class InflateError extends Error {
  override readonly name = 'InflateError';
}

const windowBytes = 32 << 10;
const codeBitsMax = 15;
const endOfBlock = 256;
const lengthBase = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115];
const lengthBases = [...lengthBase, 131, 163, 195, 227, 258];
const lengthExtra = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/** The order in which lengths of the code of code lengths are written. */
const codeOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

export class Inflater {
  readonly #dictionary: Uint8Array;
  readonly #dictionaryId: number;
  /** The last of what came out: what references may reach back to. */
  #window: Uint8Array = new Uint8Array(0);
  #begun = false;
  #ended = false;

  constructor(dictionary: Uint8Array, dictionaryId: number) {
    this.#dictionary = dictionary;
    this.#dictionaryId = dictionaryId;
  }

  /** The next piece. @throws InflateError for data that is none, or that makes more than `bytesMax` */
  push(input: Uint8Array, bytesMax: number): Uint8Array {
    const bits = new BitReader(input);
    if (!this.#begun) this.#readHeader(bits);
    const output = new Output(this.#window, bytesMax);
    while (!this.#ended && bits.bytesLeft > 0) {
      this.#ended = bits.take(1) === 1;
      const type = bits.take(2);
      if (type === 0) copyStored(bits, output);
      else if (type === 1) inflateBlock(bits, output, fixedLengths, fixedDistances);
      else if (type === 2) inflateBlock(bits, output, ...readCodes(bits));
      else throw new InflateError('invalid block type');
    }
    const { bytes, from } = output;
    this.#window = bytes.slice(Math.max(0, bytes.length - windowBytes));
    return bytes.subarray(from);
  }

  #readHeader(bits: BitReader): void {
    const method = bits.take(8);
    const flags = bits.take(8);
    if ((method & 15) !== 8 || (method * 256 + flags) % 31 !== 0) throw new InflateError('invalid zlib header');
    if ((flags & 0x20) !== 0) {
      let id = 0;
      for (let i = 0; i < 4; i++) id = id * 256 + bits.take(8);
      if (id !== this.#dictionaryId) throw new InflateError('another dictionary is wanted');
      this.#window = this.#dictionary;
    }
    this.#begun = true;
  }
}

class BitReader {
  readonly #input: Uint8Array;
  #at = 0;
  #held = 0;
  #heldBits = 0;

  constructor(input: Uint8Array) {
    this.#input = input;
  }

  /** Bytes that were not touched. What is held of a touched one is padding once a block has ended. */
  get bytesLeft(): number {
    return this.#input.length - this.#at;
  }

  /** Up to 16 bits, the first in the lowest place. */
  take(count: number): number {
    while (this.#heldBits < count) {
      if (this.#at >= this.#input.length) throw new InflateError('unexpected end');
      this.#held |= this.#input[this.#at++]! << this.#heldBits;
      this.#heldBits += 8;
    }
    const value = this.#held & ((1 << count) - 1);
    this.#held >>>= count;
    this.#heldBits -= count;
    return value;
  }

  /** The next whole bytes, after what is left of the present one. */
  bytes(count: number): Uint8Array {
    if (count > this.bytesLeft) throw new InflateError('unexpected end');
    this.#at += count;
    return this.#input.subarray(this.#at - count, this.#at);
  }

  alignToByte(): void {
    // At most 7 bits are ever left over: `take` reads no further than it must.
    this.#held = 0;
    this.#heldBits = 0;
  }
}

class Output {
  #buffer: Uint8Array;
  #length: number;
  /** Where new bytes begin; before that stands the window. */
  readonly from: number;
  readonly #max: number;

  constructor(window: Uint8Array, bytesMax: number) {
    this.from = window.length;
    this.#length = window.length;
    this.#max = window.length + bytesMax;
    this.#buffer = new Uint8Array(window.length + 1024);
    this.#buffer.set(window);
  }

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  push(byte: number): void {
    if (this.#length >= this.#max) throw new InflateError('too much data');
    if (this.#length === this.#buffer.length) {
      const larger = new Uint8Array(this.#buffer.length * 2);
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    this.#buffer[this.#length++] = byte;
  }

  /** Says again what was said `distance` bytes ago; it may overlap itself. */
  repeat(distance: number, length: number): void {
    if (distance > this.#length) throw new InflateError('a distance too far back');
    for (let i = 0; i < length; i++) this.push(this.#buffer[this.#length - distance]!);
  }
}

function copyStored(bits: BitReader, output: Output): void {
  bits.alignToByte();
  const head = bits.bytes(4);
  const length = head[0]! | (head[1]! << 8);
  if ((length ^ 0xffff) !== (head[2]! | (head[3]! << 8))) throw new InflateError('invalid stored block');
  for (const byte of bits.bytes(length)) output.push(byte);
}

/** A canonical Huffman code: how many codes of each length there are, and the symbols in order. */
interface Code {
  readonly counts: readonly number[];
  readonly symbols: readonly number[];
}

function codeOf(lengths: readonly number[]): Code {
  const counts = new Array<number>(codeBitsMax + 1).fill(0);
  for (const length of lengths) counts[length]!++;
  let left = 1;
  for (let length = 1; length <= codeBitsMax; length++) {
    left = left * 2 - counts[length]!;
    if (left < 0) throw new InflateError('invalid code lengths');
  }
  const symbols = lengths
    .map((length, symbol) => ({ length, symbol }))
    .filter(({ length }) => length > 0)
    .sort((a, b) => a.length - b.length || a.symbol - b.symbol)
    .map(({ symbol }) => symbol);
  return { counts, symbols };
}

function symbolOf(bits: BitReader, { counts, symbols }: Code): number {
  let code = 0;
  let first = 0;
  let index = 0;
  for (let length = 1; length <= codeBitsMax; length++) {
    code |= bits.take(1);
    const count = counts[length]!;
    if (code - first < count) return symbols[index + code - first]!;
    index += count;
    first = (first + count) << 1;
    code <<= 1;
  }
  throw new InflateError('invalid code');
}

const fixedLengths = codeOf(
  Array.from({ length: 288 }, (_, symbol) => (symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8)),
);
const fixedDistances = codeOf(new Array<number>(30).fill(5));

function readCodes(bits: BitReader): [Code, Code] {
  const lengthCount = bits.take(5) + 257;
  const distanceCount = bits.take(5) + 1;
  const orderCount = bits.take(4) + 4;
  const orderLengths = new Array<number>(codeOrder.length).fill(0);
  for (let i = 0; i < orderCount; i++) orderLengths[codeOrder[i]!] = bits.take(3);
  const order = codeOf(orderLengths);
  const lengths: number[] = [];
  while (lengths.length < lengthCount + distanceCount) {
    const symbol = symbolOf(bits, order);
    if (symbol < 16) lengths.push(symbol);
    else {
      const [value, times] =
        symbol === 16
          ? [lengths.at(-1), 3 + bits.take(2)]
          : symbol === 17
            ? [0, 3 + bits.take(3)]
            : [0, 11 + bits.take(7)];
      if (value === undefined) throw new InflateError('nothing to repeat');
      for (let i = 0; i < times; i++) lengths.push(value);
    }
  }
  if (lengths.length > lengthCount + distanceCount) throw new InflateError('too many code lengths');
  return [codeOf(lengths.slice(0, lengthCount)), codeOf(lengths.slice(lengthCount))];
}

function inflateBlock(bits: BitReader, output: Output, lengths: Code, distances: Code): void {
  for (;;) {
    const symbol = symbolOf(bits, lengths);
    if (symbol < endOfBlock) output.push(symbol);
    else if (symbol === endOfBlock) return;
    else {
      const which = symbol - endOfBlock - 1;
      const base = lengthBases[which];
      if (base === undefined) throw new InflateError('invalid length');
      const length = base + bits.take(lengthExtra[which]!);
      const far = symbolOf(bits, distances);
      if (far > 29) throw new InflateError('invalid distance');
      const extra = far < 4 ? 0 : (far >> 1) - 1;
      const distance = far < 4 ? far + 1 : ((2 + (far & 1)) << extra) + 1 + bits.take(extra);
      output.repeat(distance, length);
    }
  }
}
