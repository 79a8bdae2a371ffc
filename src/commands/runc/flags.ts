/**
 * The grammar of urfave/cli, which runc speaks: one dash or two, `--name value` or `--name=value`, booleans without a value, repeated flags; flags end at the
 * first argument that is none.
 */

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Names (the first is the one to ask by) and what follows them. */
export interface FlagSet {
  readonly booleans?: readonly string[];
  readonly values?: readonly string[];
  /** Short names by long ones. */
  readonly aliases?: Readonly<Record<string, string>>;
}

export class Flags {
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly rest: readonly string[];

  constructor(values: ReadonlyMap<string, readonly string[]>, rest: readonly string[]) {
    this.#values = values;
    this.rest = rest;
  }

  has(name: string): boolean {
    return this.#values.get(name)?.at(-1) === 'true';
  }

  one(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  number(name: string): number | undefined {
    const text = this.one(name);
    if (text === undefined) return undefined;
    if (!/^-?\d+$/.test(text))
      throw new UsageError(`invalid value ${JSON.stringify(text)} for ${name}: must be an integer`);
    return Number(text);
  }
}

/** Throws UsageError with Go's words. */
export function parseFlags(args: readonly string[], { booleans = [], values = [], aliases = {} }: FlagSet): Flags {
  const found = new Map<string, string[]>();
  const long = new Map(Object.entries(aliases).map(([name, short]) => [short, name]));
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (argument === '--') return new Flags(found, args.slice(i + 1));
    const match = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(argument);
    if (match === null) return new Flags(found, args.slice(i));
    const name = long.get(match[1]!) ?? match[1]!;
    let value = match[2];
    if (booleans.includes(name)) value ??= 'true';
    else if (!values.includes(name)) throw new UsageError(`flag provided but not defined: -${match[1]}`);
    else if (value === undefined) {
      if (i + 1 >= args.length) throw new UsageError(`flag needs an argument: -${match[1]}`);
      value = args[++i]!;
    }
    const list = found.get(name);
    if (list === undefined) found.set(name, [value]);
    else list.push(value);
  }
  return new Flags(found, []);
}
