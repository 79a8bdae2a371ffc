/**
 * Assertions for programmer errors. They stay on in production: a bug stops where it happens.
 * What the outside world can cause is an error value, never an assertion.
 */

export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Throws {@link AssertionError} unless `condition` holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Throws {@link AssertionError}. For hot paths: `if (!holds) fail(...)` makes the message only when it is needed. */
export function fail(message: string): never {
  throw new AssertionError(message);
}

/** Ends an exhaustive `switch`: reaching it is a compile-time error, and a run-time one for data that lied. */
export function assertNever(value: never): never {
  throw new AssertionError(`unexpected value: ${JSON.stringify(value)}`);
}

/** Returns `value` when it is an integer that a double holds exactly (|value| < 2^53). */
export function assertSafeInteger(value: number, what: string): number {
  if (!Number.isSafeInteger(value)) throw new AssertionError(`${what} is not a safe integer: ${value}`);
  return value;
}
