/**
 * Whether a history is linearizable: whether each operation can be given a moment between its call and its return, such that in the order of these moments
 * the model answers as the service did. A search with memory: an order is extended by any operation that may come next, and given up when one that has returned
 * cannot come any more. States that the same set of operations has led to before are not looked at again.
 * Source: Wing and Gong, "Testing and verifying concurrent objects" (1993); Lowe, "Testing for linearizability" (2017).
 */
import { seededPrng } from '#std/prng.ts';
import type { Model, Operation } from './history.ts';

export type Verdict<I, O> =
  | { readonly kind: 'linearizable' }
  /** The longest order that was found, and the operations that could not follow it. */
  | {
      readonly kind: 'violation';
      readonly order: readonly Operation<I, O>[];
      readonly stuck: readonly Operation<I, O>[];
    }
  /** The search was given up. */
  | { readonly kind: 'undecided' };

/** States looked at before a search is given up. */
export const statesMax = 5_000_000;

/** A beginning or an end in the list of what is still to be ordered. */
interface Event<I, O> {
  readonly operation: Operation<I, O>;
  readonly id: number;
  /** Of a beginning: its end. Undefined for ends, and for operations whose end nobody knows. */
  readonly end: Event<I, O> | undefined;
  readonly begins: boolean;
  previous: Event<I, O> | undefined;
  next: Event<I, O> | undefined;
}

/** A place in the search: what may come next, and how much of that was tried. */
interface Choice<S, I, O> {
  readonly candidates: readonly Event<I, O>[];
  tried: number;
  readonly state: S;
}

/** @param statesAtMost states looked at before the search is given up */
export function checkHistory<S, I, O>(
  model: Model<S, I, O>,
  operations: readonly Operation<I, O>[],
  statesAtMost = statesMax,
): Verdict<I, O> {
  const head = eventsOf(operations);
  const seen = new Seen<S>(model, operations.length);
  let longest: readonly Operation<I, O>[] = [];
  let stuck: readonly Operation<I, O>[] = [];
  let left = operations.reduce((count, { output }) => count + (output === undefined ? 0 : 1), 0);
  let states = 0;
  const choose = (state: S): Choice<S, I, O> => ({ candidates: candidatesOf(head, model), tried: 0, state });
  const path: Choice<S, I, O>[] = [choose(model.initial)];
  while (left > 0) {
    const choice = path.at(-1)!;
    const event = choice.candidates[choice.tried++];
    if (event !== undefined) {
      const { operation, id } = event;
      const after = model.step(choice.state, operation.input, operation.output);
      if (after === undefined || !seen.add(id, after)) continue;
      if (++states > statesAtMost) return { kind: 'undecided' };
      if (operation.output !== undefined) left--;
      takeOut(event);
      path.push(choose(after));
      continue;
    }
    // None of those that must come next can: what was chosen last was wrong.
    if (path.length > longest.length) {
      longest = path.slice(0, -1).map(chosen);
      stuck = choice.candidates.map(({ operation }) => operation);
    }
    path.pop();
    const last = path.at(-1);
    if (last === undefined) return { kind: 'violation', order: longest, stuck };
    const wrong = last.candidates[last.tried - 1]!;
    seen.remove(wrong.id);
    if (wrong.operation.output !== undefined) left++;
    putBack(wrong);
  }
  return { kind: 'linearizable' };
}

function chosen<S, I, O>({ candidates, tried }: Choice<S, I, O>): Operation<I, O> {
  return candidates[tried - 1]!.operation;
}

/** Beginnings and ends in order. @returns what stands before the first */
function eventsOf<I, O>(operations: readonly Operation<I, O>[]): Event<I, O> {
  const events: { readonly at: number; readonly event: Event<I, O> }[] = [];
  for (const [id, operation] of operations.entries()) {
    const links = { previous: undefined, next: undefined };
    const end: Event<I, O> | undefined =
      operation.output === undefined ? undefined : { operation, id, end: undefined, begins: false, ...links };
    events.push({ at: operation.call, event: { operation, id, end, begins: true, ...links } });
    if (end !== undefined) events.push({ at: operation.return, event: end });
  }
  events.sort((a, b) => a.at - b.at);
  const head = { begins: false, id: -1, previous: undefined, next: undefined } as unknown as Event<I, O>;
  let last = head;
  for (const { event } of events) {
    last.next = event;
    event.previous = last;
    last = event;
  }
  return head;
}

/** What may come next, the likeliest first: everything that began before the first end. */
function candidatesOf<S, I, O>(head: Event<I, O>, { rank }: Model<S, I, O>): Event<I, O>[] {
  const found: Event<I, O>[] = [];
  for (let event = head.next; event?.begins; event = event.next) found.push(event);
  if (rank === undefined || found.length < 2) return found;
  const ranked = found.map((event) => ({ event, at: rank(event.operation) }));
  return ranked.sort((a, b) => a.at - b.at).map(({ event }) => event);
}

function takeOut<I, O>(event: Event<I, O>): void {
  unlink(event);
  if (event.end !== undefined) unlink(event.end);
}

/** The reverse of {@link takeOut}, in reverse order. */
function putBack<I, O>(event: Event<I, O>): void {
  if (event.end !== undefined) link(event.end);
  link(event);
}

function unlink<I, O>(event: Event<I, O>): void {
  event.previous!.next = event.next;
  if (event.next !== undefined) event.next.previous = event.previous;
}

function link<I, O>(event: Event<I, O>): void {
  event.previous!.next = event;
  if (event.next !== undefined) event.next.previous = event;
}

/** Sets of operations, with the states they have led to. A set is the exclusive or of its members' random numbers: 53 bits of it. */
class Seen<S> {
  readonly #model: Model<S, never, never>;
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  readonly #states = new Map<number, S[]>();
  #highNow = 0;
  #lowNow = 0;

  constructor(model: Pick<Model<S, never, never>, 'hash' | 'equal'>, count: number) {
    this.#model = model as Model<S, never, never>;
    const prng = seededPrng(count);
    this.#high = Uint32Array.from({ length: count }, () => prng.uint32() >>> 11);
    this.#low = Uint32Array.from({ length: count }, () => prng.uint32());
  }

  /** Adds an operation to the set. False, and nothing is added, when the larger set has led to this state before. */
  add(id: number, state: S): boolean {
    this.#toggle(id);
    const key = this.#highNow * 2 ** 32 + ((this.#lowNow ^ this.#model.hash(state)) >>> 0);
    const states = this.#states.get(key);
    if (states === undefined) this.#states.set(key, [state]);
    else if (states.some((known) => this.#model.equal(known, state))) {
      this.#toggle(id);
      return false;
    } else states.push(state);
    return true;
  }

  remove(id: number): void {
    this.#toggle(id);
  }

  #toggle(id: number): void {
    this.#highNow = (this.#highNow ^ this.#high[id]!) >>> 0;
    this.#lowNow = (this.#lowNow ^ this.#low[id]!) >>> 0;
  }
}
