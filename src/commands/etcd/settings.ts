/**
 * Where a setting comes from: the command line, else `ETCD_` variables; or a configuration file, and then nothing else counts. Texts are those
 * of upstream (server/etcdmain/config.go, server/embed/config.go, Go's flag package).
 */
import { parse as parseYaml } from 'yaml';
import { FlagError, parseGoDuration, parseGoFlags } from '../go-flags.ts';
import { etcdFlags, type FlagSpec } from './flags.ts';
import { gateSaidTwice, gatesOf, gatesProblem } from './gates.ts';

/** What is wrong with settings that each by itself was well-formed. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

export interface Settings {
  /** As given, or the default. */
  string(name: string): string;
  bool(name: string): boolean;
  number(name: string): number;
  durationMs(name: string): number;
  /** Without empty parts. */
  list(name: string): readonly string[];
  /** Whether a feature is on. */
  gate(name: string): boolean;
  /** Whether somebody has said anything about it. */
  has(name: string): boolean;
}

export interface SettingsSource {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile: (path: string) => string;
  readonly warn: (message: string, more: Readonly<Record<string, unknown>>) => void;
}

const booleans = new Set(Object.keys(etcdFlags).filter((name) => etcdFlags[name]!.kind === 'bool'));
const others = new Set(Object.keys(etcdFlags).filter((name) => !booleans.has(name)));

/**
 * @throws FlagError for flags that are malformed: the usage is shown
 * @throws SettingsError
 */
export function readSettings({ args, env, readFile, warn }: SettingsSource): Settings {
  const { values, rest } = parseGoFlags(args, others, booleans);
  for (const [name, value] of values)
    checkValue(name, value, (problem) => new FlagError(flagProblem(name, value, problem)));
  if (rest.length > 0 && values.get('version') !== 'true') throw new SettingsError(`'${rest[0]}' is not a valid flag`);
  const file = values.get('config-file') ?? env['ETCD_CONFIG_FILE'] ?? '';
  return settingsOf(file === '' ? withEnvironment(values, env, warn) : fromFile(file, readFile));
}

function settingsOf(given: ReadonlyMap<string, string>): Settings {
  const values = new Map<string, string>();
  for (const [name, value] of given) {
    const { instead } = etcdFlags[name]!;
    if (instead?.kind !== 'older name') continue;
    if (given.has(instead.of))
      throw new SettingsError(
        `cannot set --${name} and --${instead.of} at the same time, please use --${instead.of} only`,
      );
    values.set(instead.of, value);
  }
  for (const [name, value] of given) if (etcdFlags[name]!.instead?.kind !== 'older name') values.set(name, value);
  for (const [name, value] of values) {
    const spec = etcdFlags[name]!;
    if (spec.instead?.kind === 'default only' && !isSame(name, spec, value))
      throw new SettingsError(`--${name} is not supported: ${spec.instead.why}`);
  }
  const twice = gateSaidTwice(values);
  if (twice !== undefined) throw new SettingsError(twice);
  const string = (name: string) => values.get(name) ?? etcdFlags[name]!.default;
  return {
    string,
    bool: (name) => string(name) === 'true',
    number: (name) => Number(string(name)),
    durationMs: (name) => parseGoDuration(name, string(name)),
    list: (name) =>
      string(name)
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    gate: gatesOf(values),
    has: (name) => values.has(name),
  };
}

function isSame(name: string, { kind, default: standard }: FlagSpec, value: string): boolean {
  if (kind === 'duration') return parseGoDuration(name, value) === parseGoDuration(name, standard);
  return value === standard;
}

function withEnvironment(
  flags: ReadonlyMap<string, string>,
  env: SettingsSource['env'],
  warn: SettingsSource['warn'],
): ReadonlyMap<string, string> {
  const values = new Map(flags);
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith('ETCD_') || value === undefined) continue;
    const name = variable.slice('ETCD_'.length).toLowerCase().replaceAll('_', '-');
    // Variables are in capitals: others only look alike.
    if (etcdFlags[name] === undefined || variableOf(name) !== variable) {
      warn('unrecognized environment variable', { 'environment-variable': `${variable}=${value}` });
      continue;
    }
    if (flags.has(name))
      throw new SettingsError(
        `conflicting environment variable is shadowed by corresponding command-line flag (either unset environment variable or disable flag)): ${variable}`,
      );
    if (value === '') continue;
    checkValue(
      name,
      value,
      (problem) => new SettingsError(`invalid value ${JSON.stringify(value)} for ${variable}: ${problem}`),
    );
    values.set(name, value);
  }
  return values;
}

function variableOf(name: string): string {
  return `ETCD_${name.toUpperCase().replaceAll('-', '_')}`;
}

/** Names in the two groups of a file, and which flags they are. */
const securityNames: Readonly<Record<string, string>> = {
  'cert-file': 'cert-file',
  'key-file': 'key-file',
  'client-cert-file': 'client-cert-file',
  'client-key-file': 'client-key-file',
  'client-cert-auth': 'client-cert-auth',
  'trusted-ca-file': 'trusted-ca-file',
  'auto-tls': 'auto-tls',
  'allowed-cn': 'cert-allowed-cn',
  'allowed-hostname': 'cert-allowed-hostname',
  'skip-client-san-verification': 'skip-client-san-verification',
};

function fromFile(path: string, readFile: SettingsSource['readFile']): ReadonlyMap<string, string> {
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new SettingsError(code === 'ENOENT' ? `open ${path}: no such file or directory` : message, { cause: error });
  }
  let parsed: unknown;
  try {
    parsed = parseYaml(text, { version: '1.1', maxAliasCount: 0 });
  } catch (error) {
    throw new SettingsError(`error converting YAML to JSON: yaml: ${(error as Error).message}`, { cause: error });
  }
  const values = new Map<string, string>();
  if (parsed === null) return values;
  if (typeof parsed !== 'object' || Array.isArray(parsed))
    throw new SettingsError(
      'error unmarshaling JSON: while decoding JSON: json: cannot unmarshal into Go value of type embed.configYAML',
    );
  const groups = { 'client-transport-security': '', 'peer-transport-security': 'peer-' } as const;
  for (const [name, value] of Object.entries(parsed as Record<string, unknown>)) {
    const prefix = groups[name as keyof typeof groups];
    if (prefix === undefined) {
      take(values, name, value);
      continue;
    }
    if (typeof value !== 'object' || value === null) throw new SettingsError(`invalid ${name}`);
    for (const [inner, setting] of Object.entries(value)) {
      const flag = securityNames[inner];
      // What is allowed to clients is called after them, to peers after theirs.
      const of = prefix === '' && flag?.startsWith('cert-allowed') ? 'client-' : prefix;
      if (flag !== undefined) take(values, `${of}${flag}`, setting);
    }
  }
  return values;
}

/** Names that are not known are skipped, as upstream does. Durations are numbers of nanoseconds. */
function take(values: Map<string, string>, name: string, value: unknown): void {
  const spec = etcdFlags[name];
  if (spec === undefined || value === null || value === undefined || name === 'config-file') return;
  const text = Array.isArray(value) ? value.join(',') : String(value);
  const isRight =
    spec.kind === 'bool'
      ? typeof value === 'boolean'
      : spec.kind === 'uint' || spec.kind === 'int' || spec.kind === 'duration'
        ? typeof value === 'number'
        : typeof value === 'string' || Array.isArray(value) || name === 'auto-compaction-retention';
  if (!isRight)
    throw new SettingsError(
      `error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${jsonKind(value)} into Go struct field configYAML.${name} of type ${goType(spec.kind)}`,
    );
  const written = spec.kind === 'duration' ? `${text}ns` : text;
  checkValue(name, written, (problem) => new SettingsError(`unexpected error setting up ${name}: ${problem}`));
  values.set(name, written);
}

function jsonKind(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

function goType(kind: FlagSpec['kind']): string {
  return {
    string: 'string',
    urls: 'string',
    list: 'string',
    bool: 'bool',
    uint: 'uint',
    int: 'int64',
    duration: 'time.Duration',
  }[kind];
}

function flagProblem(name: string, value: string, problem: string): string {
  const shown = `${JSON.stringify(value)} for ${etcdFlags[name]!.kind === 'bool' ? '' : 'flag '}-${name}`;
  return `invalid ${etcdFlags[name]!.kind === 'bool' ? 'boolean ' : ''}value ${shown}: ${problem}`;
}

/** @throws what `fail` makes of the problem */
function checkValue(name: string, value: string, fail: (problem: string) => Error): void {
  switch (etcdFlags[name]!.kind) {
    case 'bool':
      if (value !== 'true' && value !== 'false') throw fail('parse error');
      return;
    case 'uint':
      if (!/^\d+$/.test(value)) throw fail('parse error');
      return;
    case 'int':
      if (!/^-?\d+$/.test(value)) throw fail('parse error');
      return;
    case 'duration':
      try {
        parseGoDuration(name, value);
      } catch {
        throw fail('parse error');
      }
      return;
    case 'urls':
      for (const url of value.split(',')) checkUrl(url.trim(), fail);
      return;
    default:
      if (name === 'initial-cluster-state' && value !== 'new' && value !== 'existing') throw fail('invalid value');
      if (name === 'feature-gates') {
        const problem = gatesProblem(value);
        if (problem !== undefined) throw fail(problem);
      }
  }
}

/** As upstream's types.NewURLs takes them. */
function checkUrl(url: string, fail: (problem: string) => Error): void {
  if (!/^(?:https?|unixs?):\/\//.test(url)) throw fail(`URL scheme must be http, https, unix, or unixs: ${url}`);
  if (url.startsWith('unix')) return;
  const match = /^https?:\/\/(\[[^\]]*\]|[^:/]*)(?::(\d*))?(\/.*)?$/.exec(url);
  if (match?.[2] === undefined || match[2] === '' || Number(match[2]) > 65535)
    throw fail(`URL address does not have the form "host:port": ${url}`);
  if (match[3] !== undefined) throw fail(`URL must not contain a path: ${url}`);
}
