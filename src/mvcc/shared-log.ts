/**
 * A list that only grows and forks in constant time: forks share the pieces it is made of until one of them adds to it. No operation copies more than one
 * piece and the list of pieces, however long it is.
 */
const pieceBits = 12;
const pieceItems = 1 << pieceBits;
const inPiece = pieceItems - 1;

export class SharedLog<T> {
  #pieces: T[][] = [];
  length = 0;

  at(index: number): T {
    return this.#pieces[index >>> pieceBits]![index & inPiece]!;
  }

  push(item: T): void {
    const at = this.length & inPiece;
    const full = this.length >>> pieceBits;
    if (at === 0) {
      // Somebody else has added a piece to the list: it is not ours.
      if (this.#pieces.length !== full) this.#pieces = this.#pieces.slice(0, full);
      this.#pieces.push([item]);
    } else {
      // The same, and in the middle of a piece.
      if (this.#pieces.length !== full + 1 || this.#pieces[full]!.length !== at) {
        this.#pieces = this.#pieces.slice(0, full + 1);
        this.#pieces[full] = this.#pieces[full]!.slice(0, at);
      }
      this.#pieces[full]!.push(item);
    }
    this.length++;
  }

  fork(): SharedLog<T> {
    const fork = new SharedLog<T>();
    fork.#pieces = this.#pieces;
    fork.length = this.length;
    return fork;
  }

  /** First index for which `test` holds, when all before it fail and all after it pass; `length` for none. */
  indexWhere(test: (item: T) => boolean): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(this.at(middle))) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
