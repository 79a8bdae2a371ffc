/** The documentation is true: every line in it is run by a step, what steps run as documentation stands there, and its TypeScript compiles and runs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { commandLines, documentationPages, fencedBlocks, runLines } from './docs.ts';

const root = new URL('..', import.meta.url).pathname;
const pages = documentationPages(root).map((page) => ({ page, markdown: readFileSync(join(root, page), 'utf8') }));

test('every command line of the docs is run by a step, and no step runs one that is not there', () => {
  const lines = pages.flatMap(({ page, markdown }) => commandLines(page, markdown));
  const run = runLines(root);
  const missing = lines.filter(({ text }) => !run.has(text)).map(({ text, place }) => `${place}: ${text}`);
  assert.deepEqual(
    missing,
    [],
    'lines that nothing runs: give each a step that calls documented() of e2e/documented.ts',
  );
  const there = new Set(lines.map(({ text }) => text));
  const stray = [...run].filter(([text, file]) => file !== '.ci/run' && !there.has(text));
  assert.deepEqual(stray, [], 'steps that run lines which the docs no longer have');
});

test('TypeScript blocks of the docs compile and run', { timeout: 120_000 }, () => {
  mkdirSync(join(root, '.cache'), { recursive: true });
  const folder = mkdtempSync(join(root, '.cache/docs-'));
  try {
    const files = pages
      .flatMap(({ page, markdown }) => fencedBlocks(page, markdown))
      .filter(({ language }) => language === 'ts')
      .map(({ text, place }) => {
        const file = join(folder, `${place.replaceAll(/\W/g, '-')}.ts`);
        writeFileSync(file, `${text}\nexport {};\n`);
        return file;
      });
    assert.ok(files.length > 0);
    const config = join(folder, 'tsconfig.json');
    writeFileSync(config, JSON.stringify({ extends: join(root, 'tsconfig.json'), include: [], files }));
    const node = (...args: string[]) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
      assert.equal(status, 0, `${args.join(' ')}\n${stdout}${stderr}`);
    };
    node('node_modules/typescript/bin/tsc', '-p', config);
    for (const file of files) node('--disable-warning=ExperimentalWarning', file);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('links to files lead somewhere', () => {
  const broken = pages.flatMap(({ page, markdown }) =>
    [...markdown.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)]
      .map(([, target]) => target!)
      .filter((target) => !/^\w+:/.test(target) && !existsSync(join(root, page, '..', target)))
      .map((target) => `${page}: ${target}`),
  );
  assert.deepEqual(broken, []);
});

test('lines are found in blocks and in tables of commands, and nowhere else', () => {
  const markdown = [
    '```\n# why\na b\n\nc\n```',
    '| command | what |\n|---|---|\n| `d e`, or `f` | `not this` |',
    '| part | what |\n|---|---|\n| `nor this` | x |',
    '```ts\nnor(this);\n```',
  ].join('\n\n');
  assert.deepEqual(
    commandLines('x.md', markdown).map(({ text }) => text),
    ['a b', 'c', 'd e', 'f'],
  );
  assert.deepEqual(
    fencedBlocks('x.md', markdown).map(({ language, place }) => `${place} ${language}`),
    ['x.md:2 ', 'x.md:17 ts'],
  );
});

test('no way of writing it hides a line', () => {
  for (const [markdown, ...expected] of [
    ['```bash\na\n```', 'a'],
    ['```console\n$ a\n```', '$ a'],
    ['``` sh title="x"\na\n```\nb\n```ts\nc\n```', 'a'],
    ['~~~\na\n```\nb\n~~~\nc', 'a', '```', 'b'],
    ['````\n```\na\n```\n````', '```', 'a', '```'],
    ['- item\n  ```\n  a\n  ```\n', 'a'],
    ['```\nnever closed', 'never closed'],
    ['| Commands | what |\n| :--- | --- |\n| `a \\| b` | x |', 'a | b'],
    ['| command | what |\n|---|---|\n| a b | x |', 'a b'],
  ] as const)
    assert.deepEqual(
      commandLines('x.md', markdown).map(({ text }) => text),
      expected,
      markdown,
    );
});

test('only what CI runs counts: phases, their scripts and what those import, and tests', () => {
  const folder = mkdtempSync(join(tmpdir(), 'docs-'));
  try {
    const files = {
      '.ci/run':
        '# phase old bin/node e2e/old.ts\nphase --second-try "a b" bin/node e2e/a.ts --x\n  phase check npm run check\n',
      'e2e/a.ts': "import './steps.ts';\nawait documented('by a phase');\nawait documented(`whole`);\n",
      'e2e/steps.ts': "scene.doc('by an import');\n",
      'e2e/old.ts': "documented('by nobody');\n",
      'e2e/b.root.test.ts': "startDocumented('by a test');\n// documented('a comment');\n",
    };
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(folder, name, '..'), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    assert.deepEqual([...runLines(folder).keys()].sort(), [
      '.ci/run',
      'bin/node e2e/a.ts --x',
      'by a phase',
      'by a test',
      'by an import',
      'npm run check',
      'whole',
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
