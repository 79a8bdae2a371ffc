/**
 * Data-driven traces: text files of commands, each with the output it must give. A reviewer reads them; a test replays them.
 *
 *     # a comment
 *     command key key=value key=(a, b)
 *     lines of input
 *     ----
 *     lines of expected output, up to an empty line
 *
 * Output that itself holds empty lines stands between `----\n----` and `----\n----`. The format is the one of the Go package
 * `datadriven`, so that upstream's files are read in place. What the commands mean is the test's business.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface TraceArgument {
  readonly key: string;
  /** `key` has none, `key=v` one, `key=(a,b)` several, `key=()` none. */
  readonly values: readonly string[];
}

export interface TraceStep {
  /** Where the command stands, `file:line`. */
  readonly at: string;
  readonly command: string;
  readonly arguments: readonly TraceArgument[];
  /** Lines between the command and `----`, joined by newlines. */
  readonly input: string;
  /** Without a newline at its end. */
  readonly expected: string;
}

/** Runs one command and returns its output; a newline at its end does not count. */
export type TraceHandler = (step: TraceStep) => string;

/** The trace files of a folder, sorted: what a test makes one case each of. */
export function listTraces(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .sort();
}

/** Replays a whole file, every command even after a difference, and throws one error with all differences. */
export function runTrace(folder: string, name: string, handle: TraceHandler): void {
  const differences: string[] = [];
  for (const step of parseTrace(name, readFileSync(join(folder, name), 'utf8'))) {
    const actual = handle(step).replace(/\n$/, '');
    if (actual !== step.expected) differences.push(`${step.at}: ${step.command}\n${diff(step.expected, actual)}`);
    if (differences.length === differencesMax) break;
  }
  if (differences.length > 0) throw new Error(`the trace differs (- expected, + actual)\n${differences.join('\n')}`);
}

/** Writes what every command prints into the file itself, for traces of our own: a person reads the difference before it is committed. */
export function rewriteTrace(folder: string, name: string, handle: TraceHandler): void {
  const path = join(folder, name);
  const lines = readFileSync(path, 'utf8').split('\n');
  // From the end, so that the places of the earlier ones stay right.
  const written = parseTrace(name, lines.join('\n')).map((step) => ({ step, actual: handle(step).replace(/\n$/, '') }));
  for (const { step, actual } of written.reverse()) {
    let at = Number(step.at.slice(step.at.lastIndexOf(':') + 1)) - 1;
    while (lines[at] !== '----') at++;
    const expected = step.expected === '' ? [] : step.expected.split('\n');
    const fenced = expected.includes('');
    const output = actual.split('\n');
    const fence = output.includes('') ? ['----'] : [];
    lines.splice(at + 1, expected.length + (fenced ? 3 : 0), ...fence, ...output, ...fence, ...fence);
  }
  writeFileSync(path, lines.join('\n'));
}

/** After one difference the rest of a trace is rarely news. */
const differencesMax = 3;

export function parseTrace(name: string, text: string): TraceStep[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const steps: TraceStep[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at]!.trim();
    if (line === '' || line.startsWith('#')) {
      at++;
      continue;
    }
    const where = `${name}:${at + 1}`;
    let directive = line;
    while (directive.endsWith('\\')) directive = directive.slice(0, -1) + lines[++at]!.trim();
    at++;
    const input: string[] = [];
    while (at < lines.length && lines[at] !== '----') input.push(lines[at++]!);
    if (at === lines.length) throw new Error(`${where}: no ---- after the command`);
    at++;
    const expected: string[] = [];
    if (lines[at] === '----') {
      at++;
      while (!(lines[at] === '----' && lines[at + 1] === '----')) {
        if (at >= lines.length) throw new Error(`${where}: the output is not closed by two lines of ----`);
        expected.push(lines[at++]!);
      }
      at += 2;
    } else while (at < lines.length && lines[at] !== '') expected.push(lines[at++]!);
    steps.push({
      at: where,
      ...parseDirective(where, directive),
      input: input.join('\n'),
      expected: expected.join('\n'),
    });
  }
  return steps;
}

const word = /\s*([^\s=]+)(=\(([^)]*)\)|=(\S*))?/y;

function parseDirective(where: string, directive: string): Pick<TraceStep, 'command' | 'arguments'> {
  const words: TraceArgument[] = [];
  word.lastIndex = 0;
  for (let match = word.exec(directive); match !== null; match = word.exec(directive)) {
    const [, key, assignment, list, single] = match;
    const values =
      assignment === undefined
        ? []
        : list === undefined
          ? [single!]
          : list.trim() === ''
            ? []
            : list.split(',').map((value) => value.trim());
    words.push({ key: key!, values });
    if (word.lastIndex === directive.length) break;
  }
  const [command, ...rest] = words;
  if (command === undefined || command.values.length > 0) throw new Error(`${where}: no command in ${directive}`);
  return { command: command.key, arguments: rest };
}

/** The lines of both, common beginning and end shortened to a few lines. */
function diff(expected: string, actual: string): string {
  const wanted = expected.split('\n');
  const got = actual.split('\n');
  let head = 0;
  while (head < wanted.length && head < got.length && wanted[head] === got[head]) head++;
  let tail = 0;
  while (
    tail < wanted.length - head &&
    tail < got.length - head &&
    wanted[wanted.length - 1 - tail] === got[got.length - 1 - tail]
  )
    tail++;
  const contextLines = 6;
  return [
    ...wanted.slice(Math.max(0, head - contextLines), head).map((line) => `  ${line}`),
    ...wanted.slice(head, wanted.length - tail).map((line) => `- ${line}`),
    ...got.slice(head, got.length - tail).map((line) => `+ ${line}`),
    ...wanted
      .slice(wanted.length - tail)
      .slice(0, contextLines)
      .map((line) => `  ${line}`),
  ].join('\n');
}
