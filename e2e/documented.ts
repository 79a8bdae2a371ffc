/**
 * Lines of the documentation, run by a shell as they stand there. The text of the call is what is looked for: `tools/docs.test.ts` fails for a line of the docs
 * that nothing runs, and for a line that is run and no longer stands there.
 */
import { type Result, type Running, type RunOptions, run, start } from './shell.ts';
import { startOnTerminal, type Terminal } from './terminal.ts';

export interface DocumentedOptions extends RunOptions {
  /** Real words in the place of those that stand for something: `{ DIR: '/tmp/x' }`. */
  readonly words?: Readonly<Record<string, string>>;
  /** Flags that a script must add, so that its cluster is not the one of whoever works on this machine. */
  readonly more?: readonly string[];
}

const root = new URL('..', import.meta.url).pathname;

export function documented(line: string, options: DocumentedOptions = {}): Promise<Result> {
  return run('sh', ['-c', realLine(line, options)], { cwd: root, ...options });
}

/** One that runs until it is interrupted. */
export function startDocumented(line: string, options: DocumentedOptions = {}): Running {
  return start('sh', ['-c', realLine(line, options)], options.env, { cwd: root, ...options });
}

export function realLine(line: string, { words = {}, more = [] }: DocumentedOptions): string {
  let text = line;
  for (const [word, real] of Object.entries(words)) {
    const pattern = new RegExp(`(?<![A-Za-z0-9])${word}(?![A-Za-z0-9])`);
    if (!pattern.test(text)) throw new Error(`${word} does not stand in: ${line}`);
    text = text.replace(pattern, () => quote(real));
  }
  return [text, ...more.map(quote)].join(' ');
}

function quote(word: string): string {
  return /^[-\w./:=@,]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** One for whoever sits at a terminal. */
export function documentedOnTerminal(line: string, options: DocumentedOptions = {}): Terminal {
  return startOnTerminal('sh', ['-c', realLine(line, options)], options.env ?? {});
}
