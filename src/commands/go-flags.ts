/**
 * The grammar of Go's `flag` package, which etcd's server speaks: one dash or two, `--name value` or `--name=value`, booleans
 * without a value; flags end at the first argument that is none. https://pkg.go.dev/flag
 */

export class FlagError extends Error {
  override readonly name = 'FlagError';
}

export interface ParsedFlags {
  /** Values by name, as given; the last one counts. Booleans are `true` or `false`. */
  readonly values: ReadonlyMap<string, string>;
  readonly rest: readonly string[];
}

/** @throws FlagError with Go's words */
export function parseGoFlags(
  args: readonly string[],
  known: ReadonlySet<string>,
  booleans: ReadonlySet<string>,
): ParsedFlags {
  const values = new Map<string, string>();
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (argument === '--') return { values, rest: args.slice(i + 1) };
    const match = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(argument);
    if (match === null) {
      if (/^-./.test(argument)) throw new FlagError(`bad flag syntax: ${argument}`);
      return { values, rest: args.slice(i) };
    }
    const name = match[1]!;
    const value = match[2];
    if (booleans.has(name)) values.set(name, parseBoolean(name, value ?? 'true'));
    else if (name === 'help' || name === 'h') throw new FlagError('flag: help requested');
    else if (!known.has(name)) throw new FlagError(`flag provided but not defined: -${name}`);
    else if (value !== undefined) values.set(name, value);
    else if (i + 1 < args.length) values.set(name, args[++i]!);
    else throw new FlagError(`flag needs an argument: -${name}`);
  }
  return { values, rest: [] };
}

function parseBoolean(name: string, text: string): 'true' | 'false' {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return 'true';
  if (/^(?:0|f|F|FALSE|false|False)$/.test(text)) return 'false';
  throw new FlagError(`invalid boolean value ${JSON.stringify(text)} for -${name}: parse error`);
}

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A Go duration (`1m30s`, `500ms`, `0`) in milliseconds. @throws FlagError */
export function parseGoDuration(name: string, text: string): number {
  if (text === '0') return 0;
  let ms = 0;
  let rest = text;
  for (;;) {
    const match = /^(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/.exec(rest);
    if (match === null) throw new FlagError(`invalid value ${JSON.stringify(text)} for flag -${name}: parse error`);
    ms += Number(match[1]) * unitMs[match[2]!]!;
    rest = rest.slice(match[0].length);
    if (rest === '') return ms;
  }
}
