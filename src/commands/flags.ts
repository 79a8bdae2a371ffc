/**
 * The grammar of commands' flags, pflag's: `--name value`, `--name=value`, `-n value`, booleans alone, flags anywhere before `--`. Each command
 * gives its table; help is made from it.
 */
import { CommandError, ExitCode } from './command.ts';

export interface FlagSpec {
  readonly short?: string;
  /** `string` takes a value, `bool` may be alone. */
  readonly kind: 'string' | 'bool';
  /** For help. */
  readonly usage: string;
  readonly default?: string;
}

export type FlagTable = Readonly<Record<string, FlagSpec>>;

export interface Parsed {
  readonly operands: readonly string[];
  /** The value or its default. */
  string(name: string): string | undefined;
  bool(name: string): boolean;
  /** Given by the user. */
  has(name: string): boolean;
  /** How many operands came before a `--`; undefined without one. */
  readonly operandsBeforeDashes: number | undefined;
}

/** @throws CommandError usage, in pflag's words */
export function parseFlags(args: readonly string[], table: FlagTable): Parsed {
  const values = new Map<string, string>();
  const operands: string[] = [];
  let operandsBeforeDashes: number | undefined;
  const fail = (text: string) => new CommandError(ExitCode.usage, text);
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (argument === '--') {
      operandsBeforeDashes = operands.length;
      operands.push(...args.slice(i + 1));
      break;
    }
    if (argument === '-' || !argument.startsWith('-')) {
      operands.push(argument);
      continue;
    }
    const long = /^--([^=]+)(?:=([\s\S]*))?$/.exec(argument);
    const short = /^-(.)=?([\s\S]*)$/.exec(argument);
    const name = long ? long[1]! : Object.keys(table).find((key) => table[key]!.short === short?.[1]);
    const spec = name === undefined ? undefined : table[name];
    if (name === undefined || spec === undefined)
      throw fail(long ? `unknown flag: --${long[1]}` : `unknown shorthand flag: '${short?.[1]}' in ${argument}`);
    const inline = long ? long[2] : short![2] || undefined;
    if (spec.kind === 'bool') {
      const value = inline ?? 'true';
      if (value !== 'true' && value !== 'false')
        throw fail(
          `invalid argument ${JSON.stringify(value)} for "--${name}" flag: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
        );
      values.set(name, value);
    } else {
      const value = inline ?? args[++i];
      if (value === undefined)
        throw fail(`flag needs an argument: ${long ? `--${name}` : `'${spec.short}' in ${argument}`}`);
      values.set(name, value);
    }
  }
  return {
    operands,
    operandsBeforeDashes,
    string: (name) => values.get(name) ?? table[name]?.default,
    bool: (name) => (values.get(name) ?? table[name]?.default) === 'true',
    has: (name) => values.has(name),
  };
}

export function flagHelp(table: FlagTable): string {
  const lines = Object.entries(table).map(([name, { short, kind, usage, default: standard }]) => {
    const left = `  ${short ? `-${short}, ` : '    '}--${name}${kind === 'string' ? ' string' : ''}`;
    return `${left.padEnd(34)}${usage}${standard !== undefined && kind === 'string' ? ` (default ${standard})` : ''}`;
  });
  return `Flags:\n${lines.join('\n')}\n`;
}

/** What a flag looks like, as upstream's etcd tools write it, and what it is for; in order of the names. */
export function flagOptions(table: FlagTable): (readonly [string, string])[] {
  return Object.entries(table)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { short, kind, usage, default: standard = '' }]) => {
      const value = kind === 'bool' ? `[=${standard || 'false'}]` : `=${JSON.stringify(standard)}`;
      return [`${short === undefined ? '    ' : `-${short}, `}--${name}${value}`, usage];
    });
}

/** `60s`, `1m30s`, `500ms` in milliseconds. @throws CommandError usage */
export function durationMs(text: string, name: string): number {
  const match = /^(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?$/.exec(text);
  if (match === null || text === '')
    throw new CommandError(
      ExitCode.usage,
      `invalid argument ${JSON.stringify(text)} for "--${name}" flag: time: invalid duration ${JSON.stringify(text)}`,
    );
  const [hours = 0, minutes = 0, seconds = 0, ms = 0] = match.slice(1).map((part) => Number(part ?? 0));
  return ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms;
}
