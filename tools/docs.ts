/**
 * What the documentation tells people to type, and what of it is run: lines of fenced blocks and of tables headed "command" on one side, the calls of `e2e/documented.ts`
 * and the phases of `.ci/run` on the other. Both are read as text and compared; nothing is run here.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type Argument, parseSync, Visitor } from 'oxc-parser';
import { importsOf } from './changed.ts';

export interface DocumentedLine {
  readonly text: string;
  /** `README.md:31`. */
  readonly place: string;
}

export interface Block extends DocumentedLine {
  /** After the fence: `ts`; empty for commands. */
  readonly language: string;
}

/** Languages of blocks that nobody types into a shell. Whatever else stands behind a fence, or nothing, makes commands. */
const notTyped = new Set(['ts', 'typescript', 'js', 'json', 'yaml', 'go', 'c', 'proto', 'text', 'diff', 'mermaid']);

/** Scripts that are run by hand and by no phase of CI: a fresh machine is downloaded anew each time. */
const byHand = ['e2e/fresh-machine.ts'];

/** Every page of documentation, by its path in the repository. */
export function documentationPages(root: string): string[] {
  const pages = (folder: string, recursive: boolean) =>
    readdirSync(join(root, folder), { recursive, encoding: 'utf8' }).filter((name) => name.endsWith('.md'));
  return [...pages('.', false), ...pages('docs', true).map((name) => `docs/${name}`)].sort();
}

/** Blocks between fences of any length, of backticks or tildes; one that is not closed goes on to the end of the page, as renderers have it. */
export function fencedBlocks(page: string, markdown: string): Block[] {
  const blocks: Block[] = [];
  let open:
    | { readonly fence: string; readonly language: string; readonly at: number; readonly lines: string[] }
    | undefined;
  const close = () => {
    if (open === undefined) return;
    blocks.push({ language: open.language, text: open.lines.join('\n'), place: `${page}:${open.at}` });
    open = undefined;
  };
  for (const [i, line] of markdown.split('\n').entries()) {
    const [, fence, info] = /^ *(`{3,}|~{3,}) *([^`]*)$/.exec(line) ?? [];
    if (open === undefined) {
      if (fence !== undefined)
        open = { fence, language: info!.trim().split(/[\s{]/)[0]!.toLowerCase(), at: i + 2, lines: [] };
    } else if (fence?.startsWith(open.fence) && info!.trim() === '') close();
    else open.lines.push(line);
  }
  close();
  return blocks;
}

/** Lines that people type: of blocks in no other language, and the first cells of tables whose head says "command". */
export function commandLines(page: string, markdown: string): DocumentedLine[] {
  const lines = fencedBlocks(page, markdown)
    .filter(({ language }) => !notTyped.has(language))
    .flatMap(({ text, place }) =>
      text
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => ({ text: line, place })),
    );
  let inTable = false;
  for (const [i, line] of markdown.split('\n').entries()) {
    // A bar inside of a cell has a backslash before it.
    const cell = /^ *\| *((?:\\.|[^|\\])*?) *\|/.exec(line)?.[1];
    if (cell === undefined) inTable = false;
    else if (/^commands?$/i.test(cell)) inTable = true;
    else if (inTable && !/^:?-+:?$/.test(cell)) {
      const place = `${page}:${i + 1}`;
      const spans = [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text!.replaceAll('\\|', '|'));
      // A row without code is a line as a whole: it is missed, and seen.
      for (const text of spans.length === 0 ? [cell] : spans) lines.push({ text, place });
    }
  }
  return lines;
}

const runners = new Set(['documented', 'startDocumented', 'documentedOnTerminal', 'doc', 'startDoc', 'docOnTerminal']);

/** The lines that scripts and CI run, with the file that does. A script that nothing runs has none. */
export function runLines(root: string): Map<string, string> {
  const found = new Map<string, string>([['.ci/run', '.ci/run']]);
  for (const command of phases(root)) found.set(command, '.ci/run');
  for (const path of scripts(root)) {
    const visitor = new Visitor({
      CallExpression({ callee, arguments: [first] }) {
        const name =
          callee.type === 'Identifier'
            ? callee.name
            : callee.type === 'MemberExpression' && callee.property.type === 'Identifier'
              ? callee.property.name
              : '';
        const text = first?.type === 'Literal' ? first.value : wholeText(first);
        if (runners.has(name) && typeof text === 'string') found.set(text, relative(root, path));
      },
    });
    visitor.visit(parseSync(path, readFileSync(path, 'utf8')).program);
  }
  return found;
}

/** Of a template that nothing is put into. */
function wholeText(argument: Argument | undefined): string | null | undefined {
  return argument?.type === 'TemplateLiteral' && argument.expressions.length === 0
    ? argument.quasis[0]!.value.cooked
    : undefined;
}

function phases(root: string): string[] {
  return readFileSync(join(root, '.ci/run'), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const command = /^ *(?:if )?phase (?:--second-try )?(?:"[^"]*"|\S+) (.*?)(?:; then)?$/.exec(line)?.[1];
      return command === undefined ? [] : [command];
    });
}

/** Of the folder `e2e`: what a phase runs, tests, what is run by hand, and whatever those import. */
function scripts(root: string): string[] {
  const run = phases(root).flatMap((command) => /^bin\/node (e2e\/\S+\.ts)/.exec(command)?.[1] ?? []);
  const tests = readdirSync(join(root, 'e2e'))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `e2e/${name}`);
  const found = new Set(
    [...run, ...tests, ...byHand].map((path) => join(root, path)).filter((path) => existsSync(path)),
  );
  for (const path of found)
    for (const target of importsOf(path, join(root, 'src')))
      if (target.startsWith(join(root, 'e2e/')) && target.endsWith('.ts')) found.add(target);
  return [...found].sort();
}
