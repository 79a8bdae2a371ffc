/**
 * The Huffman code of header compression (RFC 7541, appendix B). The code is canonical, so its lengths say everything:
 * codes of one length count upwards in the order of their symbols, shorter lengths first.
 */

/** Bits of each symbol, 0 to 255, then the end of string. */
// biome-ignore format: one row per sixteen symbols
const lengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];
const endOfString = 256;

/** Code of each symbol, right-aligned. */
const codes = assignCodes();

/**
 * The decoder as an automaton over nibbles: states are inner nodes of the code's tree. Each entry packs the next state, and
 * the symbol the nibble completed (at most one: no code is shorter than five bits) or none.
 */
const automaton = buildAutomaton();
const noSymbol = 0x1ff;
const symbolShift = 16;
const failed = 0xffff;

export class HuffmanError extends Error {
  override readonly name = 'HuffmanError';
}

/** Text of Huffman-coded bytes, as latin1. Throws {@link HuffmanError} for padding that is not the end of string's begin. */
export function huffmanDecode(bytes: Uint8Array, start: number, end: number): string {
  const { transitions, accepting } = automaton;
  let state = 0;
  let text = '';
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    for (const nibble of [byte >>> 4, byte & 15]) {
      const step = transitions[state * 16 + nibble]!;
      const next = step & 0xffff;
      if (next === failed) throw new HuffmanError('invalid Huffman code');
      const symbol = step >>> symbolShift;
      if (symbol !== noSymbol) text += String.fromCharCode(symbol);
      state = next;
    }
  }
  if (!accepting[state]) throw new HuffmanError('invalid Huffman padding');
  return text;
}

/** Length of the encoding in bytes. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += lengths[text.charCodeAt(i) & 0xff]!;
  return (bits + 7) >>> 3;
}

/** Writes the encoding of latin1 text; returns the offset after it. */
export function huffmanEncode(text: string, target: Uint8Array, offset: number): number {
  let at = offset;
  let bits = 0;
  let held = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    const length = lengths[symbol]!;
    // At most 7 bits wait, and a code has at most 30: split so that the accumulator stays in 32 bits.
    let left = length;
    while (left > 0) {
      const take = Math.min(left, 8 - held);
      bits = (bits << take) | ((codes[symbol]! >>> (left - take)) & ((1 << take) - 1));
      held += take;
      left -= take;
      if (held === 8) {
        target[at++] = bits & 0xff;
        bits = 0;
        held = 0;
      }
    }
  }
  if (held > 0) target[at++] = ((bits << (8 - held)) | ((1 << (8 - held)) - 1)) & 0xff;
  return at;
}

function assignCodes(): Uint32Array {
  const result = new Uint32Array(lengths.length);
  const order = lengths.map((_, symbol) => symbol).sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  let code = 0;
  let length = lengths[order[0]!]!;
  for (const symbol of order) {
    code *= 2 ** (lengths[symbol]! - length);
    length = lengths[symbol]!;
    result[symbol] = code++;
  }
  return result;
}

function buildAutomaton(): { transitions: Uint32Array; accepting: Uint8Array } {
  // The code's tree: children by bit; a negative child is the leaf of symbol -child - 1.
  const children: [number, number][] = [[0, 0]];
  /** Nodes reached by a run of ones no longer than seven: where padding may end. */
  const padding: boolean[] = [true];
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    let node = 0;
    let ones = true;
    for (let depth = lengths[symbol]! - 1; depth >= 0; depth--) {
      const bit = ((codes[symbol]! >>> depth) & 1) as 0 | 1;
      ones &&= bit === 1;
      if (depth === 0) children[node]![bit] = -symbol - 1;
      else {
        if (children[node]![bit] === 0) {
          children[node]![bit] = children.length;
          children.push([0, 0]);
          padding.push(ones && lengths[symbol]! - depth <= 7);
        }
        node = children[node]![bit];
      }
    }
  }
  const transitions = new Uint32Array(children.length * 16);
  for (let state = 0; state < children.length; state++)
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = state;
      let symbol = 0x1ff;
      for (let bit = 3; bit >= 0 && node !== 0xffff; bit--) {
        const child = children[node]![((nibble >>> bit) & 1) as 0 | 1];
        if (child >= 0) node = child;
        else if (-child - 1 === endOfString) node = 0xffff;
        else {
          symbol = -child - 1;
          node = 0;
        }
      }
      transitions[state * 16 + nibble] = ((symbol << 16) | node) >>> 0;
    }
  return { transitions, accepting: Uint8Array.from(padding, (accepts) => (accepts ? 1 : 0)) };
}
