/**
 * What the documentation tells people to type, and what of it is run: lines of fenced blocks and of tables headed "command" on one side, the calls of `e2e/documented.ts`
 * and the phases of `.ci/run` on the other. Both are read as text and compared; nothing is run here.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseSync, Visitor } from 'oxc-parser';

export interface DocumentedLine {
  readonly text: string;
  /** `README.md:31`. */
  readonly place: string;
}

export interface Block extends DocumentedLine {
  /** After the fence: `ts`; empty for commands. */
  readonly language: string;
}

/** Every page of documentation, by its path in the repository. */
export function documentationPages(root: string): string[] {
  const pages = (folder: string) => readdirSync(join(root, folder)).filter((name) => name.endsWith('.md'));
  return [...pages('.'), ...pages('docs').map((name) => `docs/${name}`)].sort();
}

export function fencedBlocks(page: string, markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { readonly language: string; readonly at: number; readonly lines: string[] } | undefined;
  for (const [i, line] of markdown.split('\n').entries()) {
    const fence = /^ *```(\w*) *$/.exec(line);
    if (fence === null) open?.lines.push(line);
    else if (open === undefined) open = { language: fence[1]!, at: i + 2, lines: [] };
    else {
      blocks.push({ language: open.language, text: open.lines.join('\n'), place: `${page}:${open.at}` });
      open = undefined;
    }
  }
  return blocks;
}

/** Lines that people type: of blocks without a language, and the first cells of tables whose head says "command". */
export function commandLines(page: string, markdown: string): DocumentedLine[] {
  const lines = fencedBlocks(page, markdown)
    .filter(({ language }) => language === '' || language === 'sh')
    .flatMap(({ text, place }) =>
      text
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => ({ text: line, place })),
    );
  let inTable = false;
  for (const [i, line] of markdown.split('\n').entries()) {
    const cell = /^\| *(.*?) *\|/.exec(line)?.[1];
    if (cell === undefined || cell === 'command') inTable = cell === 'command';
    else if (inTable)
      for (const [, text] of cell.matchAll(/`([^`]+)`/g)) lines.push({ text: text!, place: `${page}:${i + 1}` });
  }
  return lines;
}

const runners = new Set(['documented', 'startDocumented', 'documentedOnTerminal', 'doc', 'startDoc', 'docOnTerminal']);

/** The lines that scripts and CI run, with the file that does. */
export function runLines(root: string): Map<string, string> {
  const found = new Map<string, string>([['.ci/run', '.ci/run']]);
  for (const line of readFileSync(join(root, '.ci/run'), 'utf8').split('\n')) {
    const command = /^ *(?:if )?phase (?:--second-try )?(?:"[^"]*"|\S+) (.*?)(?:; then)?$/.exec(line)?.[1];
    if (command !== undefined) found.set(command, '.ci/run');
  }
  for (const path of scripts(root)) {
    const visitor = new Visitor({
      CallExpression({ callee, arguments: [first] }) {
        const name =
          callee.type === 'Identifier'
            ? callee.name
            : callee.type === 'MemberExpression' && callee.property.type === 'Identifier'
              ? callee.property.name
              : '';
        if (runners.has(name) && first?.type === 'Literal' && typeof first.value === 'string')
          found.set(first.value, relative(root, path));
      },
    });
    visitor.visit(parseSync(path, readFileSync(path, 'utf8')).program);
  }
  return found;
}

function scripts(root: string): string[] {
  return readdirSync(join(root, 'e2e'))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(root, 'e2e', name));
}
