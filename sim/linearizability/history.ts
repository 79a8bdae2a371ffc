/** What clients did and saw: operations with their place among all beginnings and endings, and what a history is checked against. */

export interface Operation<I, O> {
  readonly input: I;
  /** Undefined when nobody knows how it ended: it may have happened at any time after its call, or never. */
  readonly output: O | undefined;
  /** Place of its beginning among the events of the history. */
  readonly call: number;
  /** Place of its end; Infinity when nobody knows. */
  readonly return: number;
}

/** A service as a sequential machine. States are immutable. */
export interface Model<S, I, O> {
  readonly initial: S;
  /**
   * The state after the operation; undefined when it could not have answered that.
   * @param output undefined when it is not known: then everything is possible
   */
  step(state: S, input: I, output: O | undefined): S | undefined;
  /** Equal states have equal hashes; 32 bits. */
  hash(state: S): number;
  equal(a: S, b: S): boolean;
  /** Of operations that may come next, those of lower rank are tried first: it changes how long a search takes, and nothing else. */
  rank?(operation: Operation<I, O>): number;
}
