/** The runner of traces: what it reads, and how a difference looks. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { listTraces, parseTrace, runTrace } from './trace.ts';

const text = `# A comment.
add 1 to=(2, 3) quiet mode=fast none=()
first line
# not a comment: input

third line
----
sum
is 6

blank
----
----
one

two
----
----

last \\
  word
----
`;

test('commands, arguments, input, output with and without empty lines', () => {
  const steps = parseTrace('t.txt', text);
  assert.deepEqual(
    steps.map(({ at, command, expected }) => [at, command, expected]),
    [
      ['t.txt:2', 'add', 'sum\nis 6'],
      ['t.txt:11', 'blank', 'one\n\ntwo'],
      ['t.txt:20', 'last', ''],
    ],
  );
  assert.deepEqual(steps[0]!.arguments, [
    { key: '1', values: [] },
    { key: 'to', values: ['2', '3'] },
    { key: 'quiet', values: [] },
    { key: 'mode', values: ['fast'] },
    { key: 'none', values: [] },
  ]);
  assert.equal(steps[0]!.input, 'first line\n# not a comment: input\n\nthird line');
  assert.deepEqual(steps[2]!.arguments, [{ key: 'word', values: [] }]);
});

test('a command without its line of dashes, and output that is not closed', () => {
  assert.throws(() => parseTrace('t.txt', 'add\n1\n'), /t\.txt:1: no ----/);
  assert.throws(() => parseTrace('t.txt', 'add\n----\n----\n1\n'), /t\.txt:1: the output is not closed/);
});

test('a difference names the place and shows both sides', () => {
  const folder = mkdtempSync(join(tmpdir(), 'trace-'));
  try {
    writeFileSync(join(folder, 'a.txt'), 'echo\na\nb\nc\n----\na\nB\nc\n');
    assert.deepEqual(listTraces(folder), ['a.txt']);
    assert.throws(
      () => runTrace(folder, 'a.txt', (step) => `${step.input}\n`),
      (error: Error) => error.message.endsWith('a.txt:1: echo\n  a\n- B\n+ b\n  c'),
    );
    runTrace(folder, 'a.txt', (step) => step.expected);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
