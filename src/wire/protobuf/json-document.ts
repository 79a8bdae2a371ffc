/**
 * Reads JSON that strangers sent into a tree that remembers where everything stood, so that an error can say so. Numbers stay as they were
 * written: what they may be depends on the field they are for. Several documents may follow each other. Words are those of Go's
 * encoding/json. RFC 8259.
 */

export class JsonDocumentError extends Error {
  override readonly name = 'JsonDocumentError';
}

export type JsonNode =
  | { readonly kind: 'object'; readonly at: number; readonly members: readonly JsonMember[] }
  | { readonly kind: 'array'; readonly at: number; readonly items: readonly JsonNode[] }
  | { readonly kind: 'string'; readonly at: number; readonly raw: string; readonly value: string }
  /** `number`, `true`, `false` or `null` as written. */
  | { readonly kind: 'number' | 'boolean' | 'null'; readonly at: number; readonly raw: string };

export interface JsonMember {
  readonly at: number;
  readonly name: string;
  readonly value: JsonNode;
}

const depthMax = 100;

/**
 * The document that begins at `from`, and where it ends; undefined when nothing follows but space.
 * @throws JsonDocumentError
 */
export function readJsonDocument(
  text: string,
  from: number,
): { readonly node: JsonNode; readonly end: number } | undefined {
  const reader = new DocumentReader(text, from);
  reader.space();
  if (reader.at >= text.length) return undefined;
  const node = reader.value(0);
  return { node, end: reader.at };
}

/** `1:8` for an offset: line and column, both from 1. */
export function placeOf(text: string, at: number): string {
  const before = text.slice(0, at).split('\n');
  return `${before.length}:${[...before.at(-1)!].length + 1}`;
}

const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const escapePattern = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

class DocumentReader {
  readonly #text: string;
  at: number;

  constructor(text: string, at: number) {
    this.#text = text;
    this.at = at;
  }

  space(): void {
    while (' \n\r\t'.includes(this.#text[this.at] ?? 'x')) this.at++;
  }

  value(depth: number): JsonNode {
    if (depth > depthMax) throw new JsonDocumentError('exceeded max depth');
    this.space();
    const { at } = this;
    switch (this.#text[at]) {
      case '{':
        return { kind: 'object', at, members: this.#members(depth) };
      case '[':
        return { kind: 'array', at, items: this.#items(depth) };
      case '"':
        return { kind: 'string', at, ...this.#string() };
      case 't':
        return { kind: 'boolean', at, raw: this.#word('true') };
      case 'f':
        return { kind: 'boolean', at, raw: this.#word('false') };
      case 'n':
        return { kind: 'null', at, raw: this.#word('null') };
      default: {
        const raw = this.#match(numberPattern);
        if (raw === undefined) throw this.#unexpected('looking for beginning of value');
        return { kind: 'number', at, raw };
      }
    }
  }

  #members(depth: number): JsonMember[] {
    const members: JsonMember[] = [];
    this.at++;
    this.space();
    if (this.#take('}')) return members;
    for (;;) {
      this.space();
      const { at } = this;
      if (this.#text[at] !== '"') throw this.#unexpected('looking for beginning of object key string');
      const { value: name } = this.#string();
      this.space();
      if (!this.#take(':')) throw this.#unexpected('after object key');
      members.push({ at, name, value: this.value(depth + 1) });
      this.space();
      if (this.#take('}')) return members;
      if (!this.#take(',')) throw this.#unexpected('after object key:value pair');
    }
  }

  #items(depth: number): JsonNode[] {
    const items: JsonNode[] = [];
    this.at++;
    this.space();
    if (this.#take(']')) return items;
    for (;;) {
      items.push(this.value(depth + 1));
      this.space();
      if (this.#take(']')) return items;
      if (!this.#take(',')) throw this.#unexpected('after array element');
    }
  }

  #string(): { readonly raw: string; readonly value: string } {
    const start = this.at++;
    let plain = true;
    for (;;) {
      const code = this.#text.charCodeAt(this.at);
      if (code === 34) break;
      if (code === 92) {
        plain = false;
        if (this.#match(escapePattern) !== undefined) continue;
        this.at++;
        throw this.#unexpected('in string escape code');
      }
      if (Number.isNaN(code) || code < 32) throw this.#unexpected('in string literal');
      this.at++;
    }
    const raw = this.#text.slice(start, ++this.at);
    return { raw, value: plain ? raw.slice(1, -1) : unescaped(raw.slice(1, -1)) };
  }

  #word(word: string): string {
    for (let i = 0; i < word.length; i++, this.at++)
      if (this.#text[this.at] !== word[i]) throw this.#unexpected(`in literal ${word} (expecting '${word[i]}')`);
    return word;
  }

  #take(sign: string): boolean {
    if (this.#text[this.at] !== sign) return false;
    this.at++;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const [found] = pattern.exec(this.#text) ?? [];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  #unexpected(where: string): JsonDocumentError {
    const sign = this.#text[this.at];
    if (sign === undefined) return new JsonDocumentError('unexpected EOF');
    return new JsonDocumentError(`invalid character ${sign === "'" ? "'\\''" : `'${sign}'`} ${where}`);
  }
}

const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function unescaped(text: string): string {
  return text.replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, hex: string | undefined, sign: string) =>
    hex === undefined ? (escapes[sign] ?? sign) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
