/**
 * A message whose encoding is there, from where it is stored: whoever only passes it on copies bytes, and never reads it. Classes of such messages have
 * its fields as getters, which `{ ...message }` does not copy: they are for answers that are encoded at once, and for nobody else's eyes. Generated code looks for
 * them where the `.proto` says `option (wherry.may_be_encoded) = true`.
 */
export abstract class Encoded {
  readonly #source: Buffer;
  readonly #start: number;
  readonly #end: number;

  /** @param source its bytes from `start` to `end` never change */
  constructor(source: Buffer, start: number, end: number) {
    this.#source = source;
    this.#start = start;
    this.#end = end;
  }

  get encodedBytes(): number {
    return this.#end - this.#start;
  }

  /** The room must be there. @returns the offset after it */
  writeEncoded(target: Buffer, offset: number): number {
    return offset + this.#source.copy(target, offset, this.#start, this.#end);
  }

  /** A view. */
  protected get encoding(): Buffer {
    return this.#source.subarray(this.#start, this.#end);
  }
}
