/** Help of etcdctl: of everything, of a group, of a verb, by whichever word it is asked for. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { etcdctl, etcdctlVerbNames } from './etcdctl.ts';
import { toldVerbs } from './help.ts';

async function typed(
  ...args: string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let out = '';
  let err = '';
  const context = {
    env: {},
    stdin: process.stdin,
    stdout: { write: (text: string) => void (out += text) },
    stderr: { write: (text: string) => void (err += text) },
  };
  const code = await etcdctl(args, context as unknown as Parameters<typeof etcdctl>[1]);
  return { code, out, err };
}

test('every verb is told of, and no other', () => {
  assert.deepEqual(toldVerbs.toSorted(), etcdctlVerbNames.toSorted());
});

test('a verb says what it takes', async () => {
  for (const args of [
    ['put', '--help'],
    ['put', '-h'],
    ['help', 'put'],
    ['--endpoints', 'x', 'put', '--help'],
  ]) {
    const { code, out } = await typed(...args);
    assert.equal(code, 0);
    assert.match(
      out,
      /^NAME:\n {2}put - .+\n\nUSAGE:\n {2}etcdctl put \[options\] <key> <value> .*\[flags\]\n\nOPTIONS:\n/,
    );
    assert.match(out, /^ {6}--lease="0" +\S/m);
    assert.match(out, /^ {2}-w, --write-out="simple" +\S/m);
  }
});

test('a group lists its verbs, asked or alone', async () => {
  for (const args of [['member'], ['member', '--help'], ['help', 'member']]) {
    const { code, out } = await typed(...args);
    assert.equal(code, 0);
    assert.match(out, /^USAGE:\n {2}etcdctl member <subcommand> \[flags\]\n\nCOMMANDS:\n {2}add +\S/);
  }
});

test('nothing, and help alone, list everything; a word that is none is said to be unknown', async () => {
  for (const args of [[], ['help'], ['--help']]) assert.match((await typed(...args)).out, /^ {2}lease keep-alive +\S/m);
  const { code, err } = await typed('nothing');
  assert.equal(code, 1);
  assert.equal(err, 'Error: unknown command "nothing" for "etcdctl"\nRun \'etcdctl --help\' for usage.\n');
});

test('what stands behind the dashes is the command that is run, not a question', async () => {
  const { err } = await typed('member', 'remove', '--', '--help');
  assert.doesNotMatch(err, /unknown flag/);
});

test('a flag of the verb may stand before it, with its value; what is no address is named', async () => {
  const { code, err } = await typed('--consistency', 's', '--endpoints=nowhere', 'get', 'key');
  assert.equal(code, 2);
  assert.equal(err, 'Error: not an address: "nowhere"\n');
});
