/** The JSON documents in the body of a request, one after the other, as they arrive: however the body is cut into chunks. */
import { JsonMessageError } from '#wire/protobuf/json.ts';

type Read<T> = (text: string, from: number) => { readonly message: T; readonly end: number } | undefined;

/**
 * Yields what `read` makes of each document. Every character is looked at once before the document is whole, and then read.
 * @param charactersMax of what has arrived and was not read yet; more is refused
 * @throws JsonMessageError for what is no JSON, or too much of it
 */
export async function* documentsIn<T>(
  body: AsyncIterable<Uint8Array>,
  charactersMax: number,
  read: Read<T>,
): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let text = '';
  let scan = new EndScan();
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    for (let from = 0; ; ) {
      const end = scan.advance(text);
      if (end === undefined) {
        text = text.slice(from);
        scan.shift(from);
        break;
      }
      const document = read(text, from);
      if (document === undefined) break;
      yield document.message;
      from = document.end;
      scan = new EndScan(from);
    }
    if (text.length > charactersMax) throw new JsonMessageError('request body is too large');
  }
  text += decoder.decode();
  for (let document = read(text, 0); document !== undefined; document = read(text, document.end))
    yield document.message;
}

/** Looks for the end of an object or array, without minding whether it is one. */
class EndScan {
  #at: number;
  #depth = 0;
  #inString = false;

  constructor(at = 0) {
    this.#at = at;
  }

  /** What came before `by` was read and taken away. */
  shift(by: number): void {
    this.#at -= by;
  }

  /** Where the document ends, if it has. What can be no document ends at once: reading it says why. */
  advance(text: string): number | undefined {
    for (; this.#at < text.length; this.#at++) {
      const sign = text[this.#at]!;
      if (this.#inString) {
        if (sign === '\\') this.#at++;
        else if (sign === '"') this.#inString = false;
      } else if (sign === '"' && this.#depth > 0) this.#inString = true;
      else if (sign === '{' || sign === '[') this.#depth++;
      else if (this.#depth === 0 && sign.trim() !== '') return this.#at + 1;
      else if ((sign === '}' || sign === ']') && --this.#depth === 0) return ++this.#at;
    }
    return undefined;
  }
}
