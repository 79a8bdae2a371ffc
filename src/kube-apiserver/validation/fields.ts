/** Objects as validation reads them: fields whose types decoding has checked, absent where they were left out. */
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '#kube-machinery/field-error.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** An absent list is an empty one. */
export const list = (value: unknown): readonly Fields[] => (Array.isArray(value) ? (value as readonly Fields[]) : []);
export const words = (value: unknown): readonly string[] => (Array.isArray(value) ? (value as readonly string[]) : []);
export const record = (value: unknown): Fields | undefined => value as Fields | undefined;
/** An absent string is an empty one. */
export const text = (value: unknown): string => (value ?? '') as string;

/** One error for each problem that a rule of names finds. */
export function check(errors: FieldError[], at: string, value: string, problems: (value: string) => readonly string[]) {
  for (const problem of problems(value)) errors.push(invalid(at, value, problem));
}

/** A choice that must be made. @param choices in the order in which messages list them */
export function choose(errors: FieldError[], at: string, value: unknown, choices: readonly string[]): void {
  if (text(value) === '') errors.push(required(at));
  else if (!choices.includes(value as string)) errors.push(notSupported(at, value, choices));
}

/** Names of a list that must differ: each that stands again is told at its own place. */
export function duplicatesOf(errors: FieldError[], at: string, names: readonly string[]): void {
  const seen = new Set<string>();
  for (const [index, name] of names.entries()) {
    if (seen.has(name)) errors.push(duplicate(`${at}[${index}]`, name));
    seen.add(name);
  }
}

export function nonNegative(errors: FieldError[], at: string, value: unknown): void {
  if (value !== undefined && (value as number) < 0)
    errors.push(invalid(at, value, 'must be greater than or equal to 0'));
}

/** Exactly one of several ways to say what is meant; the first one found is validated, the others are refused. */
export function one(
  errors: FieldError[],
  at: string,
  value: Fields,
  ways: Readonly<Record<string, (inner: Fields, at: string) => void>>,
  what: string,
): void {
  let found = false;
  for (const [name, validate] of Object.entries(ways)) {
    const inner = record(value[name]);
    if (inner === undefined) continue;
    if (found) errors.push(forbidden(`${at}.${name}`, `may not specify more than 1 ${what}`));
    else validate(inner, `${at}.${name}`);
    found = true;
  }
  if (!found) errors.push(required(at, `must specify a ${what}`));
}

export function noBacksteps(errors: FieldError[], at: string, path: string): void {
  if (path.split('/').includes('..')) errors.push(invalid(at, path, "must not contain '..'"));
}

/** Stays below the folder that it starts from. */
export function descendingPath(errors: FieldError[], at: string, path: string): void {
  if (path.startsWith('/')) errors.push(invalid(at, path, 'must be a relative path'));
  noBacksteps(errors, at, path);
}
